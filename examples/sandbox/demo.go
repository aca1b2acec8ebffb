package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const echoPath = "/run/demo-echo"

// demo is what the demo units run.
func demo(args []string) int {
	var err error
	switch args[0] {
	case "ticker":
		err = ticker()
	case "beacon":
		err = beacon()
	case "prepare":
		err = prepare()
	case "echo":
		err = echoServer()
	default:
		err = fmt.Errorf("there is no demo %q", args[0])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox demo:", err)
		return 1
	}
	return 0
}

// stopped is closed by SIGTERM, which the service manager sends to stop a service.
func stopped() <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGTERM)
	return c
}

// ticker is the plainest service: it counts on its standard output.
func ticker() error {
	end := stopped()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		fmt.Println("tick", n)
		select {
		case <-end:
			return nil
		case <-tick.C:
		}
	}
}

// beacon tells the service manager when it is ready, how it is, and that it lives (sd_notify(3)).
func beacon() error {
	end := stopped()
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return fmt.Errorf("cannot reach the service manager: %w", err)
	}
	defer c.Close()
	usec, err := strconv.Atoi(os.Getenv("WATCHDOG_USEC"))
	if err != nil {
		return fmt.Errorf("cannot read WATCHDOG_USEC: %w", err)
	}
	tick := time.NewTicker(time.Duration(usec) * time.Microsecond / 3)
	defer tick.Stop()
	state := "READY=1\n"
	for n := 0; ; n++ {
		if _, err := fmt.Fprintf(c, "%sSTATUS=Lit %d times\nWATCHDOG=1", state, n); err != nil {
			return fmt.Errorf("cannot notify the service manager: %w", err)
		}
		state = ""
		select {
		case <-end:
			_, err := io.WriteString(c, "STOPPING=1\nSTATUS=Going dark")
			return err
		case <-tick.C:
		}
	}
}

// prepare adds a line to a file: whoever counts them knows how often it ran.
func prepare() error {
	f, err := os.OpenFile("/run/demo/prepared", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString("prepared\n")
	return errors.Join(err, f.Close())
}

// echoServer answers on the socket that it was started for (sd_listen_fds(3)).
func echoServer() error {
	if n, pid := os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_PID"); n != "1" || pid != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("LISTEN_FDS=%s LISTEN_PID=%s: no socket was passed", n, pid)
	}
	l, err := net.FileListener(os.NewFile(3, "echo"))
	if err != nil {
		return fmt.Errorf("cannot use the socket: %w", err)
	}
	end := stopped()
	go func() {
		<-end
		os.Exit(0)
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			return fmt.Errorf("cannot accept: %w", err)
		}
		go answer(c)
	}
}

// answer sends back line by line; a client that goes away or goes on for too long is its own problem.
func answer(c net.Conn) {
	defer c.Close()
	if c.SetDeadline(time.Now().Add(time.Minute)) != nil {
		return
	}
	for s := bufio.NewScanner(c); s.Scan(); {
		if _, err := fmt.Fprintln(c, s.Text()); err != nil {
			return
		}
	}
}
