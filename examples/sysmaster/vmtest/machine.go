package vmtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest/image"
)

// Config says what to boot and how.
type Config struct {
	Image   image.Image
	Init    string   // path in the guest
	Cmdline []string // further words of the kernel command line
	Memory  int      // MiB; 0 is 1024
	CPUs    int      // 0 is 2

	// Dir is where the machine's own files go; it must exist and is not removed. When Keep is set, the machine's disk is a copy in
	// Dir that can be examined after the end; otherwise what it writes is lost.
	Dir  string
	Keep bool

	Console io.Writer     // gets a copy of the console as it comes; may be nil
	Life    time.Duration // the machine is killed when it lives longer; 0 is 10 minutes
}

// Machine is a running, or ended, virtual machine. Its methods are safe for concurrent use.
type Machine struct {
	Console *Console
	Disk    string // the file with its root file system, when Config.Keep was set

	agent  *agent
	cancel context.CancelFunc
	ended  chan struct{} // closed when QEMU is gone
	end    string        // why; valid once ended is closed
}

const (
	qemu           = "qemu-system-x86_64"
	connectTimeout = 20 * time.Second
)

// Start starts a machine and returns as soon as QEMU runs; AwaitAgent tells when the guest can be talked to. Close must be called.
func Start(c Config) (*Machine, error) {
	if c.Life == 0 {
		c.Life = 10 * time.Minute
	}
	disk, err := c.disk()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Life)
	m := &Machine{Console: newConsole(c.Console), cancel: cancel, ended: make(chan struct{})}
	if c.Keep {
		m.Disk = disk
	}
	if err := m.run(ctx, c, disk); err != nil {
		cancel()
		return nil, err
	}
	return m, nil
}

// disk gives the file that QEMU opens.
func (c Config) disk() (string, error) {
	if !c.Keep {
		return c.Image.Disk, nil
	}
	path := filepath.Join(c.Dir, "disk")
	out, err := exec.Command("cp", "--reflink=auto", "--sparse=always", "--", c.Image.Disk, path).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot copy the disk: %w: %s", err, out)
	}
	return path, nil
}

func (c Config) args(disk string, sockets map[string]string) []string {
	memory, cpus := c.Memory, c.CPUs
	if memory == 0 {
		memory = 1024
	}
	if cpus == 0 {
		cpus = 2
	}
	snapshot := "on"
	if c.Keep {
		snapshot = "off"
	}
	// With kernel memory counted, Linux patches its own code when the first group is made, where every clone comes by. Once
	// both emulated processors never got past that instruction again (soft lockup).
	words := append([]string{"console=ttyS0,115200", "root=/dev/vda", "rw", "panic=-1", "cgroup.memory=nokmem", "init=" + c.Init}, c.Cmdline...)
	args := []string{
		"-accel", "tcg,thread=multi", "-cpu", "max", "-machine", "q35", "-smp", strconv.Itoa(cpus), "-m", strconv.Itoa(memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none",
		"-kernel", c.Image.Kernel, "-initrd", c.Image.Initrd, "-append", strings.Join(words, " "),
		"-drive", "if=none,id=root,format=raw,cache=unsafe,snapshot=" + snapshot + ",file=" + disk,
		"-device", "virtio-blk-pci,drive=root",
		"-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
	}
	for _, name := range socketNames {
		args = append(args, "-chardev", "socket,id="+name+",path="+sockets[name])
	}
	return append(args, "-serial", "chardev:console", "-serial", "chardev:agent", "-mon", "chardev=qmp,mode=control")
}

// socketNames are the lines between QEMU and us. The first two are the guest's serial ports, in that order.
var socketNames = [...]string{"console", "agent", "qmp"}

// run starts QEMU, which connects to our sockets, and the goroutines that follow it.
func (m *Machine) run(ctx context.Context, c Config, disk string) error {
	sockets, listeners, err := listen()
	if err != nil {
		return err
	}
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	cmd := exec.CommandContext(ctx, qemu, c.args(disk, sockets)...)
	stderr, err := os.Create(filepath.Join(c.Dir, "qemu.log"))
	if err != nil {
		return fmt.Errorf("cannot make QEMU's log: %w", err)
	}
	defer stderr.Close()
	cmd.Stderr = stderr
	// Should this process die, the kernel ends QEMU too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	exited, err := supervise(cmd)
	if err != nil {
		return err
	}
	conns, err := accept(listeners, exited)
	if err != nil {
		m.cancel()
		<-exited
		text, readErr := os.ReadFile(stderr.Name())
		return errors.Join(err, readErr, errors.New("QEMU says: "+string(text)))
	}
	m.follow(conns, exited)
	return nil
}

// supervise starts cmd and waits for it from one locked thread: the parent-death signal is that of the starting thread, not of
// the process.
func supervise(cmd *exec.Cmd) (<-chan error, error) {
	started, exited := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			exited <- cmd.Wait()
			close(exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot start %s (Debian package qemu-system-x86): %w", qemu, err)
	}
	return exited, nil
}

func listen() (map[string]string, []*net.UnixListener, error) {
	// Not in Config.Dir: a socket's path has at most 107 bytes.
	dir, err := os.MkdirTemp("", "vm")
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make the sockets' folder: %w", err)
	}
	paths := map[string]string{}
	var listeners []*net.UnixListener
	for _, name := range socketNames {
		path := filepath.Join(dir, name)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("cannot listen for QEMU: %w", err), os.RemoveAll(dir))
		}
		paths[name], listeners = path, append(listeners, l)
	}
	return paths, listeners, nil
}

// accept takes QEMU's connection on each socket; then the sockets' folder is not needed any more.
func accept(listeners []*net.UnixListener, exited <-chan error) ([]net.Conn, error) {
	dir := filepath.Dir(listeners[0].Addr().String())
	watch := make(chan struct{})
	defer close(watch)
	go func() { // a QEMU that dies at once must not cost the whole time limit
		select {
		case <-exited:
			for _, l := range listeners {
				l.Close()
			}
		case <-watch:
		}
	}()
	var conns []net.Conn
	for i, l := range listeners {
		if err := l.SetDeadline(time.Now().Add(connectTimeout)); err != nil {
			return nil, fmt.Errorf("cannot set a deadline: %w", err)
		}
		conn, err := l.Accept()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("cannot get QEMU's %s line: %w", socketNames[i], err), os.RemoveAll(dir))
		}
		conns = append(conns, conn)
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("cannot remove the sockets' folder: %w", err)
	}
	return conns, nil
}

func (m *Machine) follow(conns []net.Conn, exited <-chan error) {
	console, agentConn, qmp := conns[0], conns[1], conns[2]
	consoleDone := make(chan struct{})
	go func() {
		m.Console.follow(console)
		close(consoleDone)
	}()
	m.agent = newAgent(agentConn)
	go func() {
		reason, err := followQMP(qmp)
		<-exited
		<-consoleDone
		m.end = reason
		if err != nil {
			m.end = err.Error()
		}
		for _, c := range conns {
			c.Close()
		}
		m.cancel()
		close(m.ended)
	}()
}

// Await waits for the end of the machine and says why it ended: one of the End constants, or another of QEMU's reasons.
func (m *Machine) Await(ctx context.Context) (string, error) {
	select {
	case <-m.ended:
		return m.end, nil
	case <-ctx.Done():
		return "", fmt.Errorf("cannot await the machine's end: %w", ctx.Err())
	}
}

// Close kills the machine if it still runs and waits until it is gone.
func (m *Machine) Close() {
	m.cancel()
	<-m.ended
}
