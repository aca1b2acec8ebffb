package shutdown

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/shutdown/testdata/hungfs"
)

// inNamespace runs one of attacks in a mount namespace of its own.
func inNamespace(t *testing.T, name string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envChild+"="+t.TempDir(), envAttack+"="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 77 {
		t.Skipf("not possible here: %v %s", err, out)
	}
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	t.Logf("%s", out)
}

const envAttack = "SHUTDOWN_TEST_ATTACK"

func attack(name, dir string) int {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		fmt.Println(err)
		return 77
	}
	var said []string
	r := &run{Config: Config{StepTimeout: 300 * time.Millisecond, TotalTimeout: 20 * time.Second,
		Say: func(s string) { said = append(said, s) }}.withDefaults()}
	start := time.Now()
	var err error
	switch name {
	case "hung":
		err = attackHung(r, dir)
	case "thousands":
		err = attackThousands(r, dir)
	}
	if err == errSkip {
		return 77
	}
	for _, s := range said[:min(len(said), 10)] {
		fmt.Println(strings.ReplaceAll(s, dir, ""))
	}
	fmt.Printf("%s: %.1f s\n", name, time.Since(start).Seconds())
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func mine(r *run, dir string) int {
	n := 0
	for _, p := range ParseMounts(r.table("/proc/self/mountinfo")) {
		if strings.HasPrefix(p, dir) {
			n++
		}
	}
	return n
}

// attackHung leaves FUSE mounts whose server no longer answers, each with a mount below it, to which
// the way leads through the server: umount(2) of that one really hangs, and no signal ends it. Between
// them is a busy mount.
func attackHung(r *run, dir string) error {
	var servers []*hungfs.FS
	defer func() { // a thread that hangs would keep this process for ever
		for _, f := range servers {
			f.Abort()
		}
	}()
	for i := range 6 {
		point := dir + "/hung" + strconv.Itoa(i)
		if err := os.Mkdir(point, 0o755); err != nil {
			return err
		}
		f, err := hungfs.Mount(point)
		if err != nil {
			fmt.Println(err)
			return errSkip
		}
		servers = append(servers, f)
		if err := unix.Mount("tmpfs", point+"/below", "tmpfs", 0, ""); err != nil {
			return err
		}
	}
	for _, f := range servers {
		f.Silence()
	}
	if err := os.Mkdir(dir+"/busy", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir+"/busy", "tmpfs", 0, ""); err != nil {
		return err
	}
	if err := os.Chdir(dir + "/busy"); err != nil {
		return err
	}
	start := time.Now()
	r.unmountAll()
	r.detachLoops()
	r.unmountAll()
	r.sync()
	d := time.Since(start)
	asked := 0
	for _, f := range servers {
		asked += f.Asked()
	}
	left := mine(r, dir)
	fmt.Printf("%d of 13 mounts are left, %d calls hang, %d requests were not answered, %v\n", left, r.behind.Load(), asked, d)
	switch {
	case asked == 0:
		return errors.New("no call hung: this attack attacks nothing")
	case d > 30*time.Second:
		return errors.New("it took too long")
	case left != 1:
		return errors.New("only the busy one may be left")
	}
	return nil
}

// attackThousands mounts a great many file systems, next to, below and on top of each other.
func attackThousands(r *run, dir string) error {
	number := 300
	if os.Getenv("SYSMASTER_SIEGE") != "" {
		number = 10_000
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		return err
	}
	for i := range number {
		point := dir + "/" + strconv.Itoa(i)
		if i%3 == 2 {
			point = dir + "/" + strconv.Itoa(i-1) + "/below"
		}
		if err := os.Mkdir(point, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", point, "tmpfs", 0, "size=4k"); err != nil {
			if err == unix.ENOSPC { // /proc/sys/fs/mount-max
				number = i
				break
			}
			return err
		}
		if i%10 == 0 {
			if err := unix.Mount(point, point, "", unix.MS_BIND, ""); err != nil {
				return err
			}
		}
	}
	start := time.Now()
	r.unmountAll()
	fmt.Printf("%d mounts unmounted in %.1f s\n", number, time.Since(start).Seconds())
	if n := mine(r, dir); n != 0 {
		return fmt.Errorf("%d mounts are left", n)
	}
	return nil
}

func TestHungMounts(t *testing.T)     { inNamespace(t, "hung") }
func TestThousandMounts(t *testing.T) { inNamespace(t, "thousands") }
