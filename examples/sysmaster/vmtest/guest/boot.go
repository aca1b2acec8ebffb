package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	newRoot      = "/newroot"
	stateDir     = "/dev/vmtest" // on devtmpfs: the one place that is writable before any init ran and stays across all of them
	handoverFile = stateDir + "/handover"
	handoverStat = stateDir + "/handover.stat" // PID 1's /proc/PID/stat then: what the kernel and this program used is not the init's
	stampFile    = stateDir + "/stamps"
	readyPipe    = stateDir + "/ready"
)

// cmdline is what the initramfs needs of the kernel command line.
type cmdline struct {
	root     string
	init     string
	readOnly bool
}

func parseCmdline(s string) cmdline {
	c := cmdline{root: "/dev/vda", init: "/sbin/init"}
	for _, word := range strings.Fields(s) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "root":
			c.root = value
		case "init":
			c.init = value
		case "ro":
			c.readOnly = true
		case "rw":
			c.readOnly = false
		}
	}
	return c
}

// boot does not return unless something failed.
func boot() error {
	for _, m := range [...]struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return fmt.Errorf("cannot make %s: %w", m.at, err)
		}
		if err := unix.Mount(m.kind, m.at, m.kind, unix.MS_NOSUID, ""); err != nil {
			return fmt.Errorf("cannot mount %s: %w", m.at, err)
		}
	}
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("cannot read the kernel command line: %w", err)
	}
	c := parseCmdline(string(text))
	if err := loadModules("/modules"); err != nil {
		return err
	}
	if err := mountRoot(c); err != nil {
		return err
	}
	if err := prepareState(); err != nil {
		return err
	}
	for _, at := range [...]string{"/proc", "/sys", "/dev"} {
		if err := unix.Mount(at, newRoot+at, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("cannot move %s to the root: %w", at, err)
		}
	}
	if err := startAgent(); err != nil {
		return err
	}
	return switchRoot(c.init)
}

// loadModules inserts the modules named in dir/list, in that order; the image builder sorted them by their dependencies.
func loadModules(dir string) error {
	list, err := os.ReadFile(filepath.Join(dir, "list"))
	if err != nil {
		return fmt.Errorf("cannot read the list of modules: %w", err)
	}
	for _, name := range strings.Fields(string(list)) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("cannot open module: %w", err)
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("cannot insert module %s: %w", name, err)
		}
	}
	return nil
}

// mountRoot waits for the root device: a virtio disk appears some moments after its driver was inserted.
func mountRoot(c cmdline) error {
	var st unix.Stat_t
	for tries := 0; unix.Stat(c.root, &st) != nil; tries++ {
		if tries == 1000 {
			return fmt.Errorf("cannot mount the root: no device %s after 10 s", c.root)
		}
		time.Sleep(10 * time.Millisecond)
	}
	var flags uintptr
	if c.readOnly {
		flags = unix.MS_RDONLY
	}
	if err := os.MkdirAll(newRoot, 0o755); err != nil {
		return fmt.Errorf("cannot make %s: %w", newRoot, err)
	}
	if err := unix.Mount(c.root, newRoot, "ext4", flags, ""); err != nil {
		return fmt.Errorf("cannot mount %s: %w", c.root, err)
	}
	return nil
}

func prepareState() error {
	if err := os.Mkdir(stateDir, 0o755); err != nil {
		return fmt.Errorf("cannot make %s: %w", stateDir, err)
	}
	if err := unix.Mkfifo(readyPipe, 0o600); err != nil {
		return fmt.Errorf("cannot make %s: %w", readyPipe, err)
	}
	if err := os.WriteFile(stampFile, nil, 0o600); err != nil {
		return fmt.Errorf("cannot make %s: %w", stampFile, err)
	}
	return nil
}

// startAgent forks the agent with the new root as its root. That reference stays valid when the mount is moved to /.
func startAgent() error {
	_, err := os.StartProcess("/proc/self/exe", []string{agentName}, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", "HOME=/root"},
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Chroot: newRoot, Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("cannot start the agent: %w", err)
	}
	return nil
}

// switchRoot frees the modules' memory, makes the new root /, stamps the hand-over and becomes the init under test.
func switchRoot(init string) error {
	if err := os.RemoveAll("/modules"); err != nil {
		return fmt.Errorf("cannot free the initramfs: %w", err)
	}
	if err := os.Chdir(newRoot); err != nil {
		return fmt.Errorf("cannot enter the new root: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("cannot move the new root to /: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("cannot change the root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("cannot enter the root: %w", err)
	}
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return fmt.Errorf("cannot read the processor time: %w", err)
	}
	if err := os.WriteFile(handoverStat, stat, 0o644); err != nil {
		return fmt.Errorf("cannot stamp the hand-over: %w", err)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("cannot read the clock: %w", err)
	}
	stamp := fmt.Sprint(now.Nano())
	if err := os.WriteFile(handoverFile, []byte(stamp+"\n"), 0o644); err != nil {
		return fmt.Errorf("cannot stamp the hand-over: %w", err)
	}
	kmsg(5, "hand-over to "+init+" at "+stamp)
	env := []string{"HOME=/", "TERM=linux"} // what the kernel gives an init that it starts itself
	return fmt.Errorf("cannot execute %s: %w", init, syscall.Exec(init, []string{init}, env))
}
