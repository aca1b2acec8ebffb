package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mainProcess is a service's main process. Its start time tells it from a later one of the same
// number.
type mainProcess struct {
	pid   int
	start string
}

// check is the demonstration without a terminal.
func check(limit time.Duration) error {
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	if err := show(ctx); err != nil {
		return err
	}
	before, err := services(ctx)
	if err != nil {
		return err
	}
	core, err := findCore()
	if err != nil {
		return err
	}
	fmt.Printf("\nKilling the core, process %d, with SIGKILL.\n", core)
	if err := unix.Kill(core, unix.SIGKILL); err != nil {
		return fmt.Errorf("cannot kill the core: %w", err)
	}
	// It is served while no core runs, or by the new one: either way it waits in the socket.
	if err := echo(limit, "hello while the core is away"); err != nil {
		return err
	}
	next := 0
	if err := await(limit, "the return of the core", func(ctx context.Context) error {
		if next, err = findCore(); err != nil || next == core {
			return errors.Join(err, errors.New("no other core yet"))
		}
		state, err := sctl(ctx, "is-system-running")
		if err != nil {
			return fmt.Errorf("%s: %w", strings.TrimSpace(state), err)
		}
		return nil
	}); err != nil {
		return err
	}
	fmt.Printf("A new core, process %d, has taken over.\n\n", next)
	return compare(limit, before)
}

// show prints what runs, and fails if anything failed.
func show(ctx context.Context) error {
	for _, args := range [][]string{{"status"}, {"list-units", "--type=service,socket"}, {"status", "ticker.service"}} {
		out, err := sctl(ctx, args...)
		if err != nil {
			return err
		}
		fmt.Printf("# sctl %s\n%s\n", strings.Join(args, " "), out)
	}
	out, err := sctl(ctx, "is-system-running")
	if err != nil {
		failed, _ := sctl(ctx, "list-units", "--failed", "--no-legend") // says more about the error at hand
		return fmt.Errorf("the machine is %s: %s", strings.TrimSpace(out), failed)
	}
	return nil
}

// services finds the main process of every demo service that runs.
func services(ctx context.Context) (map[string]mainProcess, error) {
	names, err := filepath.Glob(insideUnits + "/*.service")
	if err != nil {
		return nil, err
	}
	found := map[string]mainProcess{}
	for _, n := range names {
		n = filepath.Base(n)
		out, err := sctl(ctx, "show", "--property=MainPID", "--value", n)
		if err != nil {
			return nil, err
		}
		out = strings.TrimSpace(out)
		if out == "" || out == "0" { // not loaded, or not running
			continue
		}
		pid, err := strconv.Atoi(out)
		if err != nil {
			return nil, fmt.Errorf("cannot read MainPID of %s: %w", n, err)
		}
		st, err := readStat(pid)
		if err != nil {
			return nil, fmt.Errorf("cannot find the process of %s: %w", n, err)
		}
		found[n] = mainProcess{pid, st.start}
	}
	if len(found) < 3 {
		return nil, fmt.Errorf("only %d services run", len(found))
	}
	return found, nil
}

// compare checks that the services' processes are those from before.
func compare(limit time.Duration, before map[string]mainProcess) error {
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	after, err := services(ctx)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(before))
	for n := range before {
		names = append(names, n)
	}
	slices.Sort(names)
	var lost []error
	for _, n := range names {
		b, a := before[n], after[n]
		if a != b {
			lost = append(lost, fmt.Errorf("%s was process %d, started at tick %s, and is process %d, started at %s", n, b.pid, b.start, a.pid, a.start))
			continue
		}
		fmt.Printf("%-20s kept process %d, started at tick %s\n", n, b.pid, b.start)
	}
	runs, err := os.ReadFile("/run/demo/prepared")
	if n := strings.Count(string(runs), "\n"); err != nil || n != 1 {
		lost = append(lost, fmt.Errorf("prepare.service ran %d times instead of once: %w", n, err))
	} else {
		fmt.Printf("%-20s ran once\n", "prepare.service")
	}
	return errors.Join(lost...)
}

// echo talks to the service behind echo.socket.
func echo(limit time.Duration, text string) error {
	fail := func(err error) error { return fmt.Errorf("cannot talk to echo.socket: %w", err) }
	c, err := net.DialTimeout("unix", echoPath, limit)
	if err != nil {
		return fail(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return fail(err)
	}
	if _, err := io.WriteString(c, text+"\n"); err != nil {
		return fail(err)
	}
	got := make([]byte, len(text)+1)
	if _, err := io.ReadFull(c, got); err != nil {
		return fail(err)
	}
	if string(got) != text+"\n" {
		return fail(fmt.Errorf("it answers %q", got))
	}
	fmt.Printf("echo.socket answers: %s\n", text)
	return nil
}

// findCore finds the core that init started.
func findCore() (int, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		exe, err := os.Readlink("/proc/" + d.Name() + "/exe")
		if err != nil || exe != insideBin+"/sysmaster-core" {
			continue
		}
		if st, err := readStat(pid); err == nil && st.parent == "1" && st.state != "Z" {
			return pid, nil
		}
	}
	return 0, errors.New("there is no core")
}

type stat struct{ state, parent, start string }

// readStat reads the fields 3, 4 and 22 of /proc/PID/stat (proc_pid_stat(5)); the second, the
// name, is in parentheses and may contain anything.
func readStat(pid int) (stat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	text := string(b)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 20 {
		return stat{}, fmt.Errorf("cannot read /proc/%d/stat: only %d fields", pid, len(f)+2)
	}
	return stat{f[0], f[1], f[19]}, nil
}
