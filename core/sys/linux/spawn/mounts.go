package spawn

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// maxMountInfo bounds what is read of /proc/self/mountinfo; a machine with more mounts has all
// its programs started through the shim.
const maxMountInfo = 16 << 20

// localTypes are the file systems whose files the kernel reads without asking anybody who may
// be dead. A type that is not here counts as remote: the shim then only costs a millisecond.
const localTypes = " bcachefs bdev binfmt_misc bpf btrfs cgroup cgroup2 configfs cramfs debugfs devpts devtmpfs efivarfs erofs exfat " +
	"ext2 ext3 ext4 f2fs hugetlbfs iso9660 jffs2 jfs minix mqueue nilfs2 ntfs3 overlay proc pstore ramfs reiserfs romfs " +
	"rootfs securityfs selinuxfs squashfs sysfs tmpfs tracefs ubifs udf ufs vfat xfs zfs "

// mountTable says of which paths it is safe to look at.
type mountTable struct {
	remote map[string]bool // by mount point: is what is mounted there (last) remote?
}

// parseMounts reads the text of mountinfo (man proc(5)). Of several mounts at one point the
// last one counts, since it hides the others. ok is false for text that it does not
// understand: then nothing is known to be local.
func parseMounts(text []byte) (t mountTable, ok bool) {
	t.remote = make(map[string]bool)
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		if len(line) == 0 {
			continue
		}
		before, after, found := bytes.Cut(line, []byte(" - "))
		f, g := bytes.Fields(before), bytes.Fields(after)
		if !found || len(f) < 6 || len(g) < 1 {
			return mountTable{}, false
		}
		t.remote[unescape(f[4])] = !strings.Contains(localTypes, " "+string(g[0])+" ")
	}
	return t, len(t.remote) > 0
}

func unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) {
			out = append(out, (b[i+1]-'0')<<6|(b[i+2]-'0')<<3|(b[i+3]-'0'))
			i += 3
			continue
		}
		out = append(out, b[i])
	}
	return string(out)
}

// isRemote reports whether the mount that path, without symbolic links, lies on is remote.
func (t mountTable) isRemote(path string) bool {
	for p := path; ; {
		if r, ok := t.remote[p]; ok {
			return r
		}
		i := strings.LastIndexByte(p, '/')
		switch {
		case p == "/" || i < 0:
			return true // no root in the table
		case i == 0:
			p = "/"
		default:
			p = p[:i]
		}
	}
}

// resolve follows the symbolic links of an absolute path as far as it is safe: local is false
// as soon as a component lies on a remote file system, which then was not touched. A path that
// does not exist is local: its execve fails at once.
func (t mountTable) resolve(path string, readlink func(string) (string, bool)) (resolved string, local bool) {
	const maxLinks = 40 // as the kernel's
	at, rest, links := "", path, 0
	for rest != "" {
		var c string
		c, rest, _ = strings.Cut(rest, "/")
		switch c {
		case "", ".":
			continue
		case "..":
			at = at[:max(strings.LastIndexByte(at, '/'), 0)]
			continue
		}
		next := at + "/" + c
		if t.isRemote(next) {
			return "", false
		}
		target, isLink := readlink(next)
		if !isLink {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return next, true // execve gives ELOOP
		}
		if strings.HasPrefix(target, "/") {
			at = ""
		}
		rest = target + "/" + rest
		if len(rest) > 1<<16 {
			return "", false
		}
	}
	if at == "" {
		at = "/"
	}
	return at, !t.isRemote(at)
}

func readlink(path string) (string, bool) {
	var buf [4096]byte
	n, err := unix.Readlink(path, buf[:])
	if err != nil || n <= 0 {
		return "", false
	}
	return string(buf[:n]), true
}

// mounts keeps the table up to date: the kernel tells by POLLPRI on the open file that it changed.
type mounts struct {
	mu    sync.Mutex
	fd    int
	shim  string
	read  bool
	table mountTable
	known bool
}

// newMounts opens the table. Not with package os: its poller would swallow the POLLPRI.
func newMounts(path, shim string) (*mounts, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open mount table %s: %w", path, err)
	}
	return &mounts{fd: fd, shim: shim}, nil
}

func (m *mounts) close() error { return unix.Close(m.fd) }

// current is the table as of now.
func (m *mounts) current() (mountTable, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := []unix.PollFd{{Fd: int32(m.fd), Events: unix.POLLPRI}}
	n, err := unix.Poll(p, 0)
	if m.read && err == nil && n == 0 {
		return m.table, m.known
	}
	m.table, m.known = mountTable{}, false
	text, err := preadAll(m.fd, maxMountInfo)
	m.read = err == nil
	if err == nil {
		if m.table, m.known = parseMounts(text); m.known {
			m.table.trust(m.shim)
		}
	}
	return m.table, m.known
}

// trust counts the file system of path as local: where the shim itself lies on a network
// file system (a diskless machine), going through it gains nothing.
func (t mountTable) trust(path string) {
	for p := path; p != ""; p = p[:strings.LastIndexByte(p, '/')] {
		if _, ok := t.remote[p]; ok {
			t.remote[p] = false
			return
		}
	}
	t.remote["/"] = false
}

// preadAll reads a file of the kernel from its start.
func preadAll(fd, limit int) ([]byte, error) {
	buf := make([]byte, 0, 16<<10)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := unix.Pread(fd, buf[len(buf):cap(buf)], int64(len(buf)))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, err
		case n == 0:
			return buf, nil
		default:
			if buf = buf[:len(buf)+n]; len(buf) > limit {
				return nil, unix.EFBIG
			}
		}
	}
}

// isLocal reports whether executing path touches local file systems only, "#!" interpreters
// included. The interpreter of a dynamic executable (/lib64/ld-linux...) is taken to be where
// the system's own is.
func (m *mounts) isLocal(path string) bool {
	table, known := m.current()
	if !known || !strings.HasPrefix(path, "/") {
		return false
	}
	const maxInterpreters = 5 // as the kernel's
	for range maxInterpreters {
		at, local := table.resolve(path, readlink)
		if !local {
			return false
		}
		next, isScript := interpreter(at)
		if !isScript {
			return true
		}
		path = next
	}
	return true // execve gives ELOOP
}

// interpreter is the program that the "#!" line of a local file names.
func interpreter(path string) (string, bool) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", false
	}
	var buf [256]byte // BINPRM_BUF_SIZE
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return "", false
	}
	return parseInterpreter(buf[:n])
}

func parseInterpreter(b []byte) (string, bool) {
	rest, ok := bytes.CutPrefix(b, []byte("#!"))
	if !ok {
		return "", false
	}
	line, _, _ := bytes.Cut(rest, []byte{'\n'})
	f := bytes.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == 0 })
	if len(f) == 0 || f[0][0] != '/' {
		return "", false // execve fails, or looks in the working directory "/"
	}
	return string(f[0]), true
}
