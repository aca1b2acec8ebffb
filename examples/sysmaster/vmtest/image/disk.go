package image

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// guestPackage is the program that is the initramfs's /init and the agent.
const guestPackage = "./examples/sysmaster/vmtest/guest"

// compile builds one program as the project ships it, static and stripped, and gives its content.
func (s Spec) compile(ctx context.Context, p Program) ([]byte, error) {
	pkg := p.Package
	out := filepath.Join(s.Cache, "bin", strings.ReplaceAll(strings.TrimPrefix(pkg, "./"), "/", "_"))
	args := []string{"build", "-trimpath", "-ldflags", strings.TrimSpace("-s -w " + p.LDFlags), "-o", out}
	if p.Signals {
		overlay := filepath.Join(s.Cache, "overlay")
		script := exec.CommandContext(ctx, "sh", "init/process/overlay.sh", overlay)
		script.Dir = s.Module
		if text, err := script.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("cannot make the table of signals: %w\n%s", err, text)
		}
		args = append(args, "-overlay", filepath.Join(overlay, "overlay.json"))
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = s.Module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the programs' folder: %w", err)
	}
	if err := s.run(cmd, out+".log"); err != nil {
		return nil, fmt.Errorf("cannot build %s: %w", pkg, err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return nil, fmt.Errorf("cannot read a program: %w", err)
	}
	return b, nil
}

func (s Spec) initrd(ctx context.Context, b base) (string, error) {
	guest, err := s.compile(ctx, Program{Package: guestPackage})
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.Cache, "initrd-"+newKey("initrd 1", b.key, string(guest), strings.Join(modules, " ")))
	if used(path) {
		return path, nil
	}
	mods, err := closeModules(b.modules, modules)
	if err != nil {
		return "", err
	}
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	if err := writeInitrd(&cpioWriter{w: zip}, guest, mods); err != nil {
		return "", err
	}
	if err := zip.Close(); err != nil {
		return "", fmt.Errorf("cannot compress the initramfs: %w", err)
	}
	if err := os.WriteFile(path+".tmp", buf.Bytes(), 0o644); err != nil {
		return "", fmt.Errorf("cannot write the initramfs: %w", err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return "", fmt.Errorf("cannot keep the initramfs: %w", err)
	}
	return path, s.prune("initrd-")
}

func writeInitrd(c *cpioWriter, guest []byte, mods []module) error {
	c.dir("dev")
	c.char("dev/console", 5, 1)
	c.char("dev/null", 1, 3)
	c.dir("modules")
	var list strings.Builder
	for _, m := range mods {
		b, err := os.ReadFile(m.path)
		if err != nil {
			return fmt.Errorf("cannot read kernel module: %w", err)
		}
		c.file("modules/"+m.name, 0o644, b)
		list.WriteString(m.name + "\n")
	}
	c.file("modules/list", 0o644, []byte(list.String()))
	c.file("init", 0o755, guest)
	if err := c.close(); err != nil {
		return fmt.Errorf("cannot write the initramfs: %w", err)
	}
	return nil
}

// used reports whether a cached file is there, and marks it as recently used.
func used(path string) bool {
	now := time.Now()
	return os.Chtimes(path, now, now) == nil
}

func (s Spec) disk(ctx context.Context, b base) (string, error) {
	files := append([]File(nil), s.Files...)
	for _, p := range s.Programs {
		data, err := s.compile(ctx, p)
		if err != nil {
			return "", err
		}
		files = append(files, File{Path: p.Path, Mode: 0o755, Data: data})
	}
	parts := []string{"disk 1", b.key, diskSize}
	for _, f := range files {
		parts = append(parts, f.Path, f.Mode.String(), string(f.Data), f.Link)
	}
	path := filepath.Join(s.Cache, "disk-"+newKey(parts...))
	if used(path) {
		return path, nil
	}
	s.Log("making the disk")
	if err := s.buildDisk(ctx, b, files, path); err != nil {
		return "", err
	}
	return path, s.prune("disk-")
}

// buildDisk lays the files over a hard-linked copy of the root and lets mke2fs fill a new file system from it.
func (s Spec) buildDisk(ctx context.Context, b base, files []File, path string) error {
	stage := filepath.Join(s.Cache, "stage")
	if err := removeTree(stage); err != nil {
		return err
	}
	if err := os.Mkdir(stage, 0o755); err != nil {
		return fmt.Errorf("cannot make the stage: %w", err)
	}
	root := filepath.Join(stage, "root")
	log := filepath.Join(s.Cache, "disk.log")
	if err := s.run(exec.CommandContext(ctx, "cp", "-al", "--", b.root, root), log); err != nil {
		return err
	}
	for _, f := range files {
		if err := place(root, f); err != nil {
			return err
		}
	}
	tmp := path + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("cannot remove an old disk: %w", err)
	}
	// Nothing is left for the kernel to initialise in the background: it would disturb what is measured.
	mke2fs := exec.CommandContext(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-m", "0", "-d", root,
		"-E", "root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0", tmp, diskSize)
	if err := s.run(mke2fs, log); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("cannot keep the disk: %w", err)
	}
	return removeTree(stage)
}

// place writes f below root. The stage's files are hard links to the cached root, so an existing one is unlinked, never written.
func place(root string, f File) error {
	path := filepath.Join(root, filepath.Clean("/"+f.Path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot lay %s over the root: %w", f.Path, err)
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("cannot lay %s over the root: %w", f.Path, err)
	}
	var err error
	if f.Link != "" {
		err = os.Symlink(f.Link, path)
	} else if err = os.WriteFile(path, f.Data, f.Mode.Perm()); err == nil {
		err = os.Chmod(path, f.Mode.Perm()) // WriteFile obeys the umask
	}
	if err != nil {
		return fmt.Errorf("cannot lay %s over the root: %w", f.Path, err)
	}
	return nil
}
