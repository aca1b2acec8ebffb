package linux

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

const (
	// notifyMax is the longest notification (systemd's NOTIFY_BUFFER_MAX); longer ones are dropped.
	notifyMax = 4096
	// notifyFDs is how many descriptors the kernel lets one message carry (SCM_MAX_FD).
	notifyFDs = 253
	// notifyInFlight is how many notifications are peeked and not yet consumed at most.
	notifyInFlight = 512
	// notifyQueue is what net.unix.max_dgram_qlen is raised to: how many notifications
	// wait while no core lives.
	notifyQueue = 512
)

// notifier reads the notify socket. A datagram is peeked (SO_PEEK_OFF lets one look past
// those peeked before) and stays in the socket, which init holds too, until its Ack: a
// core that dies in between loses none.
type notifier struct {
	fd     int
	more   bool // the socket may have something that was not peeked
	stall  bool // a message waits for init to take its descriptors; what is behind waits too
	serial uint64
	peeked uint64      // messages, in all
	room   uint64      // how many the socket holds at most
	queue  []*datagram // peeked, in the socket's order
	buf    [notifyMax + 1]byte
	oob    []byte
}

// datagram is a peeked message that is still in the socket.
type datagram struct {
	size  int
	done  bool // may be consumed as soon as it is the first
	close []int
}

// startNotify takes the socket that init kept, or makes one and waits until init has it.
func (w *World) startNotify() error {
	n := &w.notify
	n.oob = make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4*notifyFDs))
	if h := w.fds[notifyKey]; h != nil {
		n.fd = h.fd
	} else {
		w.raiseLimit("/proc/sys/net/unix/max_dgram_qlen", notifyQueue)
		fd, err := listenNotify(w.cfg.NotifyPath)
		if err != nil {
			return err
		}
		n.fd = fd
		if err := w.keepNow(notifyKey, fd); err != nil {
			return err
		}
	}
	n.room = max(uint64(w.notifyRoom())+1, farewellRoom)
	// The core before may have left its own peek offset.
	if err := unix.SetsockoptInt(n.fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, 0); err != nil {
		return fmt.Errorf("cannot set SO_PEEK_OFF: %w", err)
	}
	// Edge-triggered: what was peeked stays in the socket and would be reported for ever.
	w.pulse.doors = append(w.pulse.doors, &door{key: notifyKey, fd: n.fd})
	_, err := w.poll.add(n.fd, unix.EPOLLIN|unix.EPOLLET, func(uint32) { n.more = true })
	return err
}

// listenNotify binds the socket under a temporary name and renames it, so that a client
// finds the old one or the new one, with its final mode.
func listenNotify(path string) (int, error) {
	fail := func(err error) (int, error) {
		return -1, fmt.Errorf("cannot make notify socket %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fail(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fail(err)
	}
	temp := path + ".new"
	err = unix.Unlink(temp)
	if err == nil || err == unix.ENOENT {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: temp})
	}
	if err == nil {
		err = unix.Chmod(temp, 0o777) // services of all users notify
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	}
	if err == nil {
		// More room where it is allowed; the default serves as well.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
		err = unix.Rename(temp, path)
	}
	if err != nil {
		closeFD(fd)
		return fail(err)
	}
	return fd, nil
}

// raiseLimit writes a larger number to a file of /proc/sys, where that is permitted.
func (w *World) raiseLimit(path string, value int) {
	b, err := readSmall(path, make([]byte, 32))
	if err != nil {
		w.note("", "raise "+path, err)
		return
	}
	if have, err := strconv.Atoi(string(trimSpace(b))); err == nil && have >= value {
		return
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(value)), 0o644); err != nil {
		w.note("", "raise limit", err)
	}
}

// readNotify peeks what is new, as far as it may be delivered now.
func (w *World) readNotify() {
	n := &w.notify
	for n.more && !n.stall && len(n.queue) < notifyInFlight {
		size, oobn, flags, _, err := unix.Recvmsg(n.fd, n.buf[:], n.oob, unix.MSG_PEEK|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			n.more = false
			if err != unix.EAGAIN {
				w.note("", "notify", fmt.Errorf("cannot read notifications: %w", err))
			}
			return
		}
		n.peeked++
		d := &datagram{size: size}
		cred, fds := parseRights(n.oob[:oobn])
		switch {
		case flags&unix.MSG_TRUNC != 0:
			w.skipRest(d)
			w.note("", "notify", fmt.Errorf("dropped a notification of %d bytes", d.size))
		case flags&unix.MSG_CTRUNC != 0:
			w.note("", "notify", errors.New("dropped a notification with too many descriptors"))
		case cred == nil || cred.Pid <= 0:
			w.note("", "notify", errors.New("dropped a notification without credentials"))
		default:
			n.queue = append(n.queue, d)
			w.notified(d, int(cred.Pid), n.buf[:size], fds)
			continue
		}
		closeAll(fds)
		d.done = true
		n.queue = append(n.queue, d)
		w.consume()
	}
}

// skipRest moves the peek offset behind a message that did not fit.
func (w *World) skipRest(d *datagram) {
	n := &w.notify
	for {
		size, _, flags, _, err := unix.Recvmsg(n.fd, n.buf[:], nil, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		d.size += size
		if flags&unix.MSG_TRUNC == 0 {
			return
		}
	}
}

// notified queues one notification, after init has taken the descriptors that it stores.
func (w *World) notified(d *datagram, pid int, text []byte, fds []int) {
	fields := ParseNotification(text)
	if len(fields) == 0 {
		closeAll(fds)
		d.done = true
		w.consume()
		return
	}
	from, in := w.sender(pid)
	ev := unit.Notified{From: from, Fields: fields}
	push := func() {
		in.Body = ev
		w.inputs.push(in, func() { d.done = true; w.consume() })
	}
	if !has(fields, "FDSTORE", "1") {
		// BARRIER=1 (sd_notify_barrier(3)): the sender waits until all copies of its
		// descriptor are closed. It may go on when this message has been consumed.
		d.close = fds
		push()
		return
	}
	name := value(fields, "FDNAME", "stored")
	w.notify.stall = true
	left := len(fds)
	finish := func() {
		w.notify.stall = false
		for _, f := range ev.FDs {
			ev.Same = append(ev.Same, w.sameAs(f.Key))
		}
		push()
	}
	if left == 0 {
		finish()
		return
	}
	for _, fd := range fds {
		w.notify.serial++
		key := fmt.Sprintf("%s%d/%d", tempPrefix, w.channel.welcome.Generation, w.notify.serial)
		w.keepFD(key, fd, func(err error) {
			if err != nil {
				w.note(in.Unit, "notify", err)
			} else {
				ev.FDs = append(ev.FDs, unit.FDRef{Key: key, Name: name})
			}
			if left--; left == 0 {
				finish()
			}
		})
	}
}

// sender tells whose process it is, as long as it lives or its end is not acknowledged.
func (w *World) sender(pid int) (unit.Proc, sys.Input) {
	from := unit.Proc{PID: pid}
	if s, err := readStat(pid); err == nil {
		from.Start = s.Start
	}
	if p := w.followed[pid]; p != nil && (from.Start == 0 || from.Start == p.Start) {
		from.Start = p.Start
		return from, sys.Input{Unit: p.unit, CGroup: p.cgroup}
	}
	if from.Start == 0 { // it ended while no core lived, and its exit waits behind this
		for i := range w.records {
			if r := &w.records[i]; r.PID == pid {
				from.Start = r.StartTime
				return from, sys.Input{CGroup: r.cgroup}
			}
		}
	}
	if w.cfg.CGroup != nil {
		return from, sys.Input{CGroup: w.procCGroup(pid)}
	}
	return from, sys.Input{Unit: w.unitByInvocation(pid)}
}

// consume takes what is done from the head of the socket.
func (w *World) consume() {
	n := &w.notify
	for len(n.queue) > 0 && n.queue[0].done {
		d := n.queue[0]
		n.queue = n.queue[1:]
		closeAll(d.close)
		var b [1]byte
		for {
			size, _, err := unix.Recvfrom(n.fd, b[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				w.note("", "notify", fmt.Errorf("cannot consume a notification: %w", err))
			} else if size == 0 && d.size != 0 {
				// An empty message that the core before had peeked is invisible to
				// peeking, and stood before ours.
				continue
			}
			break
		}
	}
}

// parseRights takes credentials and descriptors from control messages.
func parseRights(oob []byte) (cred *unix.Ucred, fds []int) {
	for len(oob) >= unix.CmsgLen(0) {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return cred, fds
		}
		oob = rest
		m := unix.SocketControlMessage{Header: h, Data: data}
		switch {
		case h.Level != unix.SOL_SOCKET:
		case h.Type == unix.SCM_CREDENTIALS:
			if c, err := unix.ParseUnixCredentials(&m); err == nil {
				cred = c
			}
		case h.Type == unix.SCM_RIGHTS:
			if f, err := unix.ParseUnixRights(&m); err == nil {
				fds = append(fds, f...)
			}
		}
	}
	return cred, fds
}

func closeAll(fds []int) {
	for _, fd := range fds {
		closeFD(fd)
	}
}

// notifyRoom is how many unread notifications the kernel keeps.
func (w *World) notifyRoom() int {
	b, err := readSmall("/proc/sys/net/unix/max_dgram_qlen", make([]byte, 32))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(string(trimSpace(b)))
	if err != nil {
		return 0
	}
	return n
}
