package image

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Suite is the Debian release of the image.
const Suite = "bookworm"

// diskSize is that of the root file system, for mke2fs.
const diskSize = "640M"

//go:embed build-root.sh
var buildRoot []byte

// packages are Debian's, in its minbase variant, unchanged.
var packages = []string{
	"systemd", "systemd-sysv", "dbus", "openssh-server", "nginx-light", "cron", "iproute2", "curl", "kmod", "e2fsprogs",
	"login", "util-linux", "procps",
}

// modules are what the initramfs inserts, beside what they depend on.
var modules = []string{"virtio_pci", "virtio_blk", "virtio_rng", "autofs4", "fuse"}

// Program is a Go program of this module that is built and put into the image.
type Program struct {
	Package string // folder relative to the module's, such as "./examples/sctl"
	Path    string // absolute path in the guest
	LDFlags string // further flags for the linker, such as "-X main.version=2"
	// Signals builds it with the table of signals that init's programs have (init/process/overlay.sh).
	Signals bool
}

// File is a file, or with Link a symbolic link, that is laid over the Debian root. Missing folders are made.
type File struct {
	Path string // absolute path in the guest
	Mode os.FileMode
	Data []byte
	Link string // target, when it is a symbolic link
}

// Spec says what to build.
type Spec struct {
	Module   string // the module's folder
	Cache    string // folder for everything built; made when missing
	Programs []Program
	Files    []File
	Log      func(string) // progress, one line each; may be nil
}

// Image names the files of a built image. They belong to the cache and must not be written.
type Image struct {
	Disk     string // ext4 file system, the whole disk
	Kernel   string
	Initrd   string
	Packages []string // "name<TAB>version" of each Debian package, the kernel's at the end
}

// Build makes the image or finds it in the cache. It waits for other builders on the same cache. When ctx ends, the programs that
// it started are killed.
func Build(ctx context.Context, s Spec) (Image, error) {
	if s.Log == nil {
		s.Log = func(string) {}
	}
	if err := os.MkdirAll(s.Cache, 0o755); err != nil {
		return Image{}, fmt.Errorf("cannot make the cache: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(s.Cache, "lock"))
	if err != nil {
		return Image{}, err
	}
	defer unlock()
	base, err := s.base(ctx)
	if err != nil {
		return Image{}, err
	}
	initrd, err := s.initrd(ctx, base)
	if err != nil {
		return Image{}, err
	}
	disk, err := s.disk(ctx, base)
	if err != nil {
		return Image{}, err
	}
	return Image{Disk: disk, Kernel: base.kernel, Initrd: initrd, Packages: base.packages}, nil
}

// lock takes the cache's lock; it is freed by the returned function or by the end of the process.
func lock(ctx context.Context, path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the cache's lock: %w", err)
	}
	taken := make(chan error, 1)
	go func() { taken <- unix.Flock(int(f.Fd()), unix.LOCK_EX) }()
	select {
	case err = <-taken:
	case <-ctx.Done():
		// The waiting goroutine may still get the lock; it ends with the descriptor's close after it did.
		go func() { <-taken; f.Close() }()
		return nil, fmt.Errorf("cannot take the cache's lock: %w", ctx.Err())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot take the cache's lock: %w", err)
	}
	return func() { f.Close() }, nil
}

// base is a Debian root directory with its kernel.
type base struct {
	key      string
	root     string
	kernel   string
	modules  string // lib/modules/VERSION
	packages []string
}

func (s Spec) base(ctx context.Context) (base, error) {
	key := newKey("base 1", Suite, strings.Join(packages, " "), string(buildRoot))
	dir := filepath.Join(s.Cache, "base-"+key)
	if _, err := os.Stat(dir); err != nil {
		s.Log("making the Debian root: this takes a minute or two, once")
		if err := s.buildBase(ctx, dir); err != nil {
			return base{}, err
		}
	}
	kernel, err := single(filepath.Join(dir, "kernel/boot/vmlinuz-*"))
	if err != nil {
		return base{}, err
	}
	modules, err := single(filepath.Join(dir, "kernel/lib/modules/*"))
	if err != nil {
		return base{}, err
	}
	list, err := os.ReadFile(filepath.Join(dir, "packages"))
	if err != nil {
		return base{}, fmt.Errorf("cannot list the image's packages: %w", err)
	}
	packages := strings.Split(strings.TrimSpace(string(list)), "\n")
	return base{key: key, root: filepath.Join(dir, "root"), kernel: kernel, modules: modules, packages: packages}, nil
}

// buildBase fills a folder beside dir and renames it at the end, so that dir is always complete.
func (s Spec) buildBase(ctx context.Context, dir string) error {
	tmp := dir + ".tmp"
	if err := removeTree(tmp); err != nil {
		return err
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return fmt.Errorf("cannot make the root's folder: %w", err)
	}
	args := append([]string{"-s", "--", tmp, Suite}, packages...)
	cmd := exec.CommandContext(ctx, "bash", args...)
	cmd.Stdin = strings.NewReader(string(buildRoot))
	if err := s.run(cmd, filepath.Join(s.Cache, "base.log")); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("cannot keep the root: %w", err)
	}
	return nil
}

// run runs a command with its output in a file, whose end becomes part of the error.
func (s Spec) run(cmd *exec.Cmd, logPath string) error {
	out, err := os.Create(logPath)
	if err != nil {
		return fmt.Errorf("cannot make a log: %w", err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, readErr := os.ReadFile(logPath)
		if readErr != nil {
			text = []byte(readErr.Error())
		}
		return fmt.Errorf("cannot run %s: %w\n%s", filepath.Base(cmd.Path), err, text[max(0, len(text)-4000):])
	}
	return nil
}

// single expands a pattern that must name exactly one file.
func single(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("cannot find one %s: %d found", pattern, len(found))
	}
	return found[0], nil
}

// removeTree removes a root directory of an earlier, interrupted build, after unmounting what debootstrap left mounted in it.
func removeTree(dir string) error {
	for _, at := range [...]string{"proc", "sys", "dev/pts", "dev/shm", "dev"} {
		path := filepath.Join(dir, "root", at)
		for unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) == nil {
		}
	}
	// --one-file-system: should anything else be mounted there, it is not emptied.
	if out, err := exec.Command("rm", "-rf", "--one-file-system", "--", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot remove %s: %w: %s", dir, err, out)
	}
	return nil
}
