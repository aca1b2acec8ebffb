package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// forkedEnv marks the process that a forking service leaves behind.
const forkedEnv = "TORTURE_FORKED"

// served is one service.
type served struct {
	dir, name string
	kind      kind
	journal   journal
	ctl       *net.UnixConn
	listener  net.Listener // of kindSocket
	answering sync.WaitGroup
	once      sync.Once
}

// serve is the part of a service; it returns the exit status.
func serve(args []string) int {
	if len(args) != 3 {
		fmt.Fprintln(os.Stderr, "torture: a service needs a directory, a name and a kind")
		return exitUsage
	}
	s := &served{dir: args[0], name: args[1], kind: kind(args[2])}
	var err error
	if s.kind == kindForking && os.Getenv(forkedEnv) == "" {
		err = s.fork()
	} else {
		err = s.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", s.name+":", err)
		return 99
	}
	return 0
}

// fork starts the process that stays, and ends when that says that it is there.
func (s *served) fork() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	p, err := os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{
		Env: append(os.Environ(), forkedEnv+"=1"), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, w},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	var b [1]byte
	if n, err := r.Read(b[:]); n != 1 {
		return fmt.Errorf("process %d did not come up: %w", p.Pid, err)
	}
	return nil
}

func (s *served) run() (err error) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGTERM)
	if s.journal, err = openJournal(s.dir, s.name); err != nil {
		return err
	}
	if s.kind == kindSocket {
		if err := s.listen(); err != nil {
			return err
		}
	}
	path := controlPath(s.dir, s.name)
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	if s.ctl, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"}); err != nil {
		return err
	}
	st, err := readStat(os.Getpid())
	if err == nil && s.kind == kindForking {
		err = os.WriteFile(pidPath(s.dir, s.name), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
	}
	if err == nil {
		err = s.journal.line("start", st.ticks)
	}
	if err == nil && s.kind == kindForking {
		_, err = unix.Write(3, []byte{1})
		_ = unix.Close(3) // the parent has what it waits for
	}
	if err == nil && s.kind.notifies() {
		err = notify("READY=1")
	}
	if err != nil {
		return err
	}
	if s.kind == kindOneshot {
		return s.journal.line("exit", 0)
	}
	go func() {
		<-ended
		s.end("term", 0)
	}()
	return s.obey()
}

// obey does what the workload asks for: "exit STATUS MICROSECONDS", "die SIGNAL MICROSECONDS", "note N 0".
func (s *served) obey() error {
	buf := make([]byte, 256)
	for {
		n, err := s.ctl.Read(buf)
		if err != nil {
			return err
		}
		f := strings.Fields(string(buf[:n]))
		if len(f) != 3 {
			return fmt.Errorf("cannot understand %q", buf[:n])
		}
		number, err1 := strconv.Atoi(f[1])
		delay, err2 := strconv.Atoi(f[2])
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		switch f[0] {
		case "exit", "die":
			time.AfterFunc(time.Duration(delay)*time.Microsecond, func() { s.end(f[0], number) })
		case "note":
			if err := notify("STATUS=" + f[1]); err != nil {
				return err
			}
			if err := s.journal.line("note", uint64(number)); err != nil {
				return err
			}
		}
	}
}

// end ends the process; who is being answered is answered first.
func (s *served) end(how string, n int) {
	s.once.Do(func() {
		if s.listener != nil {
			_ = s.listener.Close() // ours only: init has it, too, and whoever waits in it waits for the next process
			s.answering.Wait()
		}
		if err := s.journal.line(how, uint64(n)); err != nil {
			os.Exit(99)
		}
		if how == "die" {
			_ = unix.Kill(os.Getpid(), unix.Signal(n)) // to oneself it is always allowed
			select {}
		}
		os.Exit(n)
	})
	select {} // somebody else ends it
}

// listen takes the socket over (sd_listen_fds(3)).
func (s *served) listen() error {
	if n, pid := os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_PID"); n != "1" || pid != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("LISTEN_FDS=%s LISTEN_PID=%s: no socket was passed", n, pid)
	}
	f := os.NewFile(3, "socket")
	l, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	s.listener = l
	s.answering.Add(1)
	go func() {
		defer s.answering.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			s.answering.Add(1)
			go func() {
				defer s.answering.Done()
				s.answer(c)
			}()
		}
	}()
	return nil
}

// answer sends one line back.
func (s *served) answer(c net.Conn) {
	defer c.Close()
	if c.SetDeadline(time.Now().Add(30*time.Second)) != nil {
		return
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err == nil {
		_, _ = c.Write([]byte(line)) // a client that went away has no use for it
	}
}

// notify tells the service manager something (sd_notify(3)). It waits while the socket is full.
func notify(text string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for {
		err = unix.Sendto(fd, []byte(text), 0, &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")})
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("cannot notify the service manager: %w", err)
	}
	return errors.Join(err, unix.Close(fd))
}
