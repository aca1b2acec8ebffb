package fdstore

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// Errors of a Conn and a Client.
var (
	// ErrAgain: nothing to receive, or no room to send. Wait for epoll.
	ErrAgain = errors.New("channel is not ready")
	// ErrFull: the client's queue is full; the message was not taken.
	ErrFull = errors.New("channel's queue is full")
)

// Conn is one end of the channel. It never blocks. Both ends use it; it is
// not safe for concurrent use.
type Conn struct {
	fd      int
	in, out [MaxMessage + 1]byte
	oob     [rightsMax]byte
	discard func(fd int)
}

// rightsMax takes the control message of the most descriptors that one packet
// can have (the kernel's SCM_MAX_FD): what did not fit the kernel would close in
// our name, and waiting for it.
const rightsMax = 16 + 4*253 + 4

// NewConn takes over a SOCK_SEQPACKET descriptor and makes it non-blocking and
// close-on-exec. If it is not such a socket, the descriptor stays the caller's.
func NewConn(fd int) (*Conn, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, &ConnError{Op: "use", Err: err}
	}
	if kind != unix.SOCK_SEQPACKET {
		return nil, &ConnError{Op: "use", Err: unix.EPROTOTYPE}
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, &ConnError{Op: "use", Err: err}
	}
	return &Conn{fd: fd, discard: closeFD}, nil
}

// Discard sets who closes what the peer sent and nobody wants, for a process
// that must not wait for close(2). [unix.Close]
func (c *Conn) Discard(closer func(fd int)) { c.discard = closer }

// ConnError is a failure of the channel itself.
type ConnError struct {
	Op  string // "use", "send", "receive"
	Err error
}

// Error says what failed.
func (e *ConnError) Error() string {
	return "cannot " + e.Op + " on the channel between init and core: " + e.Err.Error()
}

// Unwrap gives the system call's error.
func (e *ConnError) Unwrap() error { return e.Err }

// FD is the descriptor, for epoll.
func (c *Conn) FD() int { return c.fd }

// Close closes the descriptor.
func (c *Conn) Close() error {
	fd := c.fd
	c.fd = -1
	return unix.Close(fd)
}

// Send sends m and, for a kind that has one, its descriptor, which stays the
// caller's. ErrAgain when the peer's buffer, or the kernel's allowance of
// descriptors in flight (ETOOMANYREFS), has no room: nothing was sent then.
func (c *Conn) Send(m Message) error {
	p, err := Append(c.out[:0], m)
	if err != nil {
		return err
	}
	var rights []byte
	if m.Kind.HasFD() {
		rights = unix.UnixRights(m.FD)
	}
	for {
		_, err = unix.SendmsgN(c.fd, p, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			return nil
		case unix.EINTR:
			continue
		case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM, unix.ETOOMANYREFS:
			return ErrAgain
		case unix.EPIPE, unix.ECONNRESET:
			return io.EOF
		}
		return &ConnError{Op: "send", Err: err}
	}
}

// Receive gives the next message. ErrAgain: there is none; io.EOF: the peer is
// gone. An error of Decode concerns that one packet, which has been consumed,
// its descriptors closed. FD is -1 if the kernel could not deliver it (this
// process's table of descriptors is full).
func (c *Conn) Receive() (Message, error) {
	for {
		n, oobn, flags, _, err := unix.Recvmsg(c.fd, c.in[:], c.oob[:], unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		switch err {
		case nil:
		case unix.EINTR:
			continue
		case unix.ECONNRESET:
			// The peer died with unread messages of ours. The kernel says so once,
			// before it hands out what the peer has sent: the end comes as EOF.
			continue
		case unix.EAGAIN:
			return Message{FD: -1}, ErrAgain
		default:
			return Message{FD: -1}, &ConnError{Op: "receive", Err: err}
		}
		fd := firstRight(c.oob[:oobn], c.discard)
		if n == 0 && fd < 0 { // an empty packet, which nobody sends, looks the same
			return Message{FD: -1}, io.EOF
		}
		m, err := decodePacket(c.in[:n], flags)
		if err != nil || !m.Kind.HasFD() {
			if fd >= 0 {
				c.discard(fd)
			}
			return m, err
		}
		m.FD = fd
		return m, nil
	}
}

func decodePacket(p []byte, flags int) (Message, error) {
	if flags&unix.MSG_TRUNC != 0 {
		return Message{FD: -1}, ErrBounds
	}
	return Decode(p)
}

// firstRight gives the first descriptor of the control messages, or -1, and
// closes all others: nobody may fill our table with what we do not look at.
func firstRight(oob []byte, discard func(int)) int {
	first := -1
	for len(oob) >= unix.CmsgLen(0) {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return first
		}
		oob = rest
		if h.Level != unix.SOL_SOCKET || h.Type != unix.SCM_RIGHTS {
			continue
		}
		fds, err := unix.ParseUnixRights(&unix.SocketControlMessage{Header: h, Data: data})
		if err != nil {
			continue
		}
		for _, fd := range fds {
			if first < 0 {
				first = fd
			} else {
				discard(fd)
			}
		}
	}
	return first
}

// closeFD drops a descriptor that came from the peer: an error of close(2)
// belongs to whatever it refers to, and there is nobody to act on it.
func closeFD(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}
