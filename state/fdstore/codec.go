package fdstore

import (
	"math"
	"syscall"
	"time"
)

const (
	headerSize  = 4
	wireVersion = 1 // the version byte: all kinds have had one form so far
)

// codec walks over a message's fields, writing or reading each: there is one
// list of fields per kind (fields), so that the two directions cannot differ.
type codec struct {
	buf     []byte
	decode  bool
	failure error
}

// Append encodes m behind dst. The descriptor is not part of the bytes. The
// error is ErrUnknownKind, ErrKey or ErrBounds; dst is then returned as it was.
func Append(dst []byte, m Message) ([]byte, error) {
	c := codec{buf: append(dst, 'S', 'M', wireVersion, byte(m.Kind))}
	c.fields(&m)
	if c.failure == nil && len(c.buf)-len(dst) > MaxMessage {
		c.failure = ErrBounds
	}
	if c.failure != nil {
		return dst, c.failure
	}
	return c.buf, nil
}

// Decode reads one packet. FD is -1 in the result. Strings are copied.
func Decode(p []byte) (Message, error) {
	m := Message{FD: -1}
	switch {
	case len(p) > MaxMessage:
		return m, ErrBounds
	case len(p) < headerSize || p[0] != 'S' || p[1] != 'M':
		return m, ErrMalformed
	}
	m.Kind = Kind(p[3])
	if p[2] != wireVersion {
		return m, ErrVersion
	}
	c := codec{buf: p[headerSize:], decode: true}
	c.fields(&m)
	if c.failure == nil && len(c.buf) != 0 && m.Kind < firstOpen {
		c.failure = ErrMalformed
	}
	if c.failure != nil {
		return Message{Kind: m.Kind, FD: -1}, c.failure
	}
	return m, nil
}

// fields is the wire format.
func (c *codec) fields(m *Message) {
	switch m.Kind {
	case KindHello:
		c.u8(&m.Version)
	case KindAlive:
		c.u64(&m.Turn)
		c.flag(&m.Busy)
	case KindPulse:
		c.u64(&m.Turn)
		c.milliseconds(&m.Next)
	case KindPut, KindDrop, KindDropPrefix:
		c.u32(&m.Seq)
		c.key(&m.Key)
	case KindRegister, KindUnregister:
		c.pid(&m.PID)
		c.u64(&m.Start)
	case KindAckExit, KindAckSignal:
		c.u64(&m.ID)
	case KindShutdown:
		c.u8((*uint8)(&m.Shutdown.Verb))
		c.u8(&m.Shutdown.Code)
		c.str(&m.Shutdown.Argument, MaxArgument)
		if m.Shutdown.Verb < VerbPoweroff || m.Shutdown.Verb > VerbExit {
			c.fail(ErrMalformed)
		}
	case KindWelcome:
		c.welcome(&m.Welcome)
	case KindStored:
		c.key(&m.Key)
	case KindStoredEnd:
		c.u32(&m.Count)
	case KindExit:
		c.exit(&m.Exit)
	case KindSignal:
		c.u64(&m.ID)
		n := int32(m.Signal)
		c.i32(&n)
		m.Signal = int(n)
		if n < 1 || n > 64 {
			c.fail(ErrMalformed)
		}
	case KindPutResult:
		c.u32(&m.Seq)
		e := uint32(m.Errno)
		c.u32(&e)
		m.Errno = syscall.Errno(e)
	case KindUpgrade, KindHealthy, KindAdopted, KindOutcome:
		c.upgrade(m.Kind, &m.Upgrade)
	case KindAbout:
		c.about(&m.About)
	default:
		c.fail(ErrUnknownKind)
	}
}

func (c *codec) welcome(w *Welcome) {
	c.u8(&w.Version)
	c.u64(&w.Generation)
	c.u8((*uint8)(&w.Cause))
	c.i32(&w.Code)
	c.i32(&w.Status)
	c.u64(&w.Lost)
	c.milliseconds(&w.Idle)
	c.milliseconds(&w.Busy)
}

func (c *codec) exit(e *Exit) {
	c.u64(&e.ID)
	c.pid(&e.PID)
	c.u64(&e.StartTime)
	session := int32(e.Session)
	c.i32(&session)
	e.Session = int(session)
	c.i32(&e.Code)
	c.i32(&e.Status)
	c.str(&e.Cgroup, MaxCgroup)
}

func (c *codec) fail(err error) {
	if c.failure == nil {
		c.failure = err
	}
}

// fixed moves an n-byte little-endian number.
func (c *codec) fixed(v uint64, n int) uint64 {
	if !c.decode {
		for i := range n {
			c.buf = append(c.buf, byte(v>>(8*i)))
		}
		return v
	}
	if len(c.buf) < n {
		c.fail(ErrMalformed)
		c.buf = nil
		return 0
	}
	v = 0
	for i := range n {
		v |= uint64(c.buf[i]) << (8 * i)
	}
	c.buf = c.buf[n:]
	return v
}

func (c *codec) u8(v *uint8)   { *v = uint8(c.fixed(uint64(*v), 1)) }
func (c *codec) u32(v *uint32) { *v = uint32(c.fixed(uint64(*v), 4)) }
func (c *codec) i32(v *int32)  { *v = int32(c.fixed(uint64(uint32(*v)), 4)) }
func (c *codec) u64(v *uint64) { *v = c.fixed(*v, 8) }

func (c *codec) flag(v *bool) {
	var b uint8
	if *v {
		b = 1
	}
	c.u8(&b)
	if b > 1 {
		c.fail(ErrMalformed)
	}
	*v = b == 1
}

// pid moves a process number, which is never below 1.
func (c *codec) pid(v *int) {
	if *v > math.MaxInt32 {
		c.fail(ErrBounds)
	}
	n := int32(*v)
	c.i32(&n)
	if n < 1 {
		c.fail(ErrMalformed)
	}
	*v = int(n)
}

func (c *codec) milliseconds(v *time.Duration) {
	ms := *v / time.Millisecond
	if ms < 0 || ms > math.MaxUint32 {
		c.fail(ErrBounds)
	}
	n := uint32(ms)
	c.u32(&n)
	*v = time.Duration(n) * time.Millisecond
}

func (c *codec) key(v *string) {
	c.str(v, MaxKey)
	if !ValidKey(*v) {
		c.fail(ErrKey)
	}
}

func (c *codec) str(v *string, limit int) {
	if !c.decode && len(*v) > limit {
		c.fail(ErrBounds)
		return
	}
	n := int(c.fixed(uint64(len(*v)), 2))
	if !c.decode {
		c.buf = append(c.buf, *v...)
		return
	}
	if n > limit || n > len(c.buf) {
		c.fail(ErrMalformed)
		return
	}
	*v = string(c.buf[:n])
	c.buf = c.buf[n:]
}
