package spawn

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys/shim"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// streams are the three standard streams: descriptors of ours for the child to inherit, and
// what the shim opens in their place.
type streams struct {
	fds     [3]int
	open    [3]shim.Stdio
	journal string // JOURNAL_STREAM; empty if no stream goes to the journal
	own     []int  // opened here, closed after the spawn
}

func (s *streams) close() {
	for _, fd := range s.own {
		unix.Close(fd)
	}
}

// needShim reports whether the shim has to open anything.
func (s *streams) needShim() bool {
	for _, o := range s.open {
		if o.Kind != shim.StdioKeep {
			return true
		}
	}
	return false
}

// streams decides where the standard streams go (man systemd.exec(5), LOGGING AND STANDARD
// INPUT/OUTPUT). Files and terminals are left to the shim, because opening one may wait.
func (s *Spawner) streams(req *Request) (*streams, *unit.SpawnError) {
	st := &streams{fds: [3]int{s.null, s.null, s.null}}
	c := req.Context
	in, out, errs := c.Stdin, c.Stdout, c.Stderr
	if req.Stdin > 0 {
		in = execspec.Stdio{Kind: execspec.StdioSocket}
	}
	if out.Kind == execspec.StdioInherit && (in.Kind == execspec.StdioNull || in.Kind == execspec.StdioData) {
		out = execspec.Stdio{Kind: execspec.StdioJournal} // DefaultStandardOutput=
	}
	if err := s.input(req, in, st); err != nil {
		st.close()
		return nil, &unit.SpawnError{Status: shim.ExitStdin, Step: "StandardInput", Msg: err.Error()}
	}
	if in.Kind == execspec.StdioFile && out.Kind == execspec.StdioFile && in.Path == out.Path {
		st.open[0].Kind, out = shim.StdioBoth, execspec.Stdio{Kind: execspec.StdioInherit}
	}
	if err := s.output(req, out, 1, st); err != nil {
		st.close()
		return nil, &unit.SpawnError{Status: shim.ExitStdout, Step: "StandardOutput", Msg: err.Error()}
	}
	if same(errs, out) { // one file, one offset
		errs = execspec.Stdio{Kind: execspec.StdioInherit}
	}
	if err := s.output(req, errs, 2, st); err != nil {
		st.close()
		return nil, &unit.SpawnError{Status: shim.ExitStderr, Step: "StandardError", Msg: err.Error()}
	}
	return st, nil
}

func same(a, b execspec.Stdio) bool {
	switch a.Kind {
	case execspec.StdioFile, execspec.StdioAppend, execspec.StdioTruncate, execspec.StdioJournal, execspec.StdioKmsg:
		return a == b
	}
	return false
}

func (s *Spawner) input(req *Request, in execspec.Stdio, st *streams) error {
	switch in.Kind {
	case execspec.StdioNull:
	case execspec.StdioFile:
		st.open[0] = shim.Stdio{Kind: shim.StdioRead, Path: in.Path}
	case execspec.StdioTTY, execspec.StdioTTYForce, execspec.StdioTTYFail:
		st.open[0] = shim.Stdio{Kind: shim.StdioTTY}
	case execspec.StdioSocket, execspec.StdioFD:
		fd, err := passedFD(req, in, true)
		st.fds[0] = fd
		return err
	default:
		return fmt.Errorf("this input is not implemented")
	}
	return nil
}

func (s *Spawner) output(req *Request, out execspec.Stdio, i int, st *streams) error {
	switch out.Kind {
	case execspec.StdioNull:
	case execspec.StdioInherit:
		st.fds[i] = st.fds[i-1]
		if st.open[i-1].Kind != shim.StdioKeep {
			st.open[i].Kind = [3]shim.StdioKind{0, shim.StdioDup0, shim.StdioDup1}[i]
		}
	case execspec.StdioFile:
		st.open[i] = shim.Stdio{Kind: shim.StdioWrite, Path: out.Path}
	case execspec.StdioAppend:
		st.open[i] = shim.Stdio{Kind: shim.StdioAppend, Path: out.Path}
	case execspec.StdioTruncate:
		st.open[i] = shim.Stdio{Kind: shim.StdioTruncate, Path: out.Path}
	case execspec.StdioTTY:
		st.open[i] = shim.Stdio{Kind: shim.StdioTTY}
	case execspec.StdioSocket, execspec.StdioFD:
		fd, err := passedFD(req, out, false)
		st.fds[i] = fd
		return err
	case execspec.StdioJournal, execspec.StdioKmsg:
		fd, journal := s.log(req, out)
		st.fds[i], st.own = fd, append(st.own, fd)
		if journal != "" {
			st.journal = journal
		}
	default:
		return fmt.Errorf("this output is not implemented")
	}
	return nil
}

// passedFD is the socket that started the unit, or the passed descriptor of a name.
func passedFD(req *Request, s execspec.Stdio, input bool) (int, error) {
	if s.Kind == execspec.StdioSocket && req.Stdin > 0 {
		return req.Stdin, nil
	}
	if s.Kind == execspec.StdioSocket {
		if len(req.FDs) != 1 {
			return -1, fmt.Errorf("there must be one socket, not %d", len(req.FDs))
		}
		return req.FDs[0].FD, nil
	}
	for _, f := range req.FDs {
		if f.Name == s.Name {
			return f.FD, nil
		}
	}
	return -1, fmt.Errorf("no passed descriptor is named %q", s.Name)
}

// log opens the way to the log: a stream to the journal, or where none listens the kernel's
// log, or where there is none nothing. The journal is asked without waiting: a service must
// not hang because its log does.
func (s *Spawner) log(req *Request, out execspec.Stdio) (fd int, journal string) {
	if fd, err := s.journalStream(req, out); err == nil {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil {
			journal = strconv.FormatUint(st.Dev, 10) + ":" + strconv.FormatUint(st.Ino, 10)
		}
		return fd, journal
	}
	if fd, err := unix.Open(s.cfg.Kmsg, unix.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
		if unix.SetNonblock(fd, false) == nil {
			return fd, ""
		}
		unix.Close(fd)
	}
	fd, err := unix.FcntlInt(uintptr(s.null), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return s.null, ""
	}
	return fd, ""
}

// journalStream connects to journald's stream socket and sends the header: identifier, unit,
// priority, level prefix, and whether to forward to syslog, kmsg and console.
func (s *Spawner) journalStream(req *Request, out execspec.Stdio) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	err = func() error {
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: s.cfg.JournalSocket}); err != nil {
			return err
		}
		if err := unix.Shutdown(fd, unix.SHUT_RD); err != nil {
			return err
		}
		header := journalHeader(req, out)
		n, err := unix.Write(fd, []byte(header))
		if err == nil && n != len(header) {
			err = unix.EIO
		}
		if err != nil {
			return err
		}
		return unix.SetNonblock(fd, false)
	}()
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func journalHeader(req *Request, out execspec.Stdio) string {
	c := req.Context
	id := c.SyslogIdentifier
	if id == "" {
		id = path.Base(req.Command.Path)
	}
	flag := func(b bool) string {
		if b {
			return "1\n"
		}
		return "0\n"
	}
	return strings.ReplaceAll(id, "\n", " ") + "\n" + string(req.Unit) + "\n" +
		strconv.Itoa(c.SyslogFacility|c.SyslogLevel) + "\n" +
		flag(c.SyslogLevelPrefix) + "0\n" + flag(out.Kind == execspec.StdioKmsg) + flag(out.Console)
}

func usesTTY(c *execspec.Context) bool {
	for _, k := range [...]execspec.StdioKind{c.Stdin.Kind, c.Stdout.Kind, c.Stderr.Kind} {
		switch k {
		case execspec.StdioTTY, execspec.StdioTTYForce, execspec.StdioTTYFail:
			return true
		}
	}
	return false
}
