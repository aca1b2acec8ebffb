package shim

import "errors"

// Bounds of an encoded Plan. The kernel refuses an argument longer than 128 KiB and, with
// the usual stack limit, more than 2 MiB of all.
const (
	MaxPlan   = 4 << 20
	maxString = 1 << 20
	maxList   = 1 << 16
)

// ErrPlan says that bytes are not an encoded Plan, or that a Plan exceeds the bounds.
var ErrPlan = errors.New("invalid exec plan")

// magic begins a Plan; its last byte is the version. Parent and shim are installed together,
// but an upgrade replaces them one after the other, so a difference must be noticed.
const magic = "sxp\x01"

// Encode gives the bytes that Decode reads, or ErrPlan.
func (p *Plan) Encode() ([]byte, error) {
	c := coder{buf: make([]byte, 0, 2048), writing: true}
	c.buf = append(c.buf, magic...)
	p.code(&c)
	if c.bad || len(c.buf) > MaxPlan {
		return nil, ErrPlan
	}
	return c.buf, nil
}

// Decode reads a whole Plan, or ErrPlan. Strings hold no NUL.
func Decode(b []byte) (*Plan, error) {
	if len(b) > MaxPlan || len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return nil, ErrPlan
	}
	c := coder{buf: b[len(magic):]}
	p := new(Plan)
	p.code(&c)
	if c.bad || len(c.buf) != 0 {
		return nil, ErrPlan
	}
	return p, nil
}

// code is the one list of fields: it writes them, or reads them in the same order.
func (p *Plan) code(c *coder) {
	c.str(&p.Path)
	c.strs(&p.Search)
	c.strs(&p.Argv)
	c.strs(&p.Env)
	c.strs(&p.PIDEnv)
	c.flag(&p.Join)
	fds := int64(p.FDs)
	c.num(&fds)
	p.FDs = int(fds)
	c.check(fds >= 0 && fds <= maxList)
	c.flag(&p.NonBlock)
	for i := range p.Stdio {
		c.num((*int64)(&p.Stdio[i].Kind))
		c.check(p.Stdio[i].Kind >= 0 && p.Stdio[i].Kind < numStdioKinds)
		c.str(&p.Stdio[i].Path)
	}
	p.TTY.code(c)
	c.limits(&p.Limits)
	c.num(&p.Umask)
	c.check(p.Umask >= 0 && p.Umask <= 0o777)
	c.flag(&p.KeepSIGPIPE)
	for _, o := range [...]*Opt{
		&p.OOMScoreAdjust, &p.CoredumpFilter, &p.Nice, &p.IOPriority, &p.TimerSlack,
		&p.GID, &p.UID, &p.Bounding, &p.SecureBits,
	} {
		c.flag(&o.Set)
		c.num(&o.N)
	}
	c.flag(&p.Sched.Set)
	c.num(&p.Sched.Policy)
	c.num(&p.Sched.Priority)
	c.flag(&p.Sched.ResetOnFork)
	c.bytes(&p.Affinity)
	c.check(len(p.Affinity)%8 == 0)
	c.num((*int64)(&p.Keyring))
	c.check(p.Keyring >= 0 && p.Keyring < numKeyringModes)
	c.flag(&p.SetGroups)
	c.nums(&p.Groups)
	c.num(&p.Ambient)
	c.flag(&p.NoNewPrivs)
	c.str(&p.Root)
	c.str(&p.Dir)
	c.flag(&p.DirOptional)
}

func (t *TTY) code(c *coder) {
	c.str(&t.Path)
	for _, b := range [...]*bool{&t.Control, &t.Force, &t.Fail, &t.Reset, &t.Hangup, &t.Clear} {
		c.flag(b)
	}
	c.num(&t.Rows)
	c.num(&t.Columns)
}

// coder writes to the end of buf, or reads from its start. After the first fault it does nothing.
type coder struct {
	buf     []byte
	writing bool
	bad     bool
}

func (c *coder) check(ok bool) {
	if !ok {
		c.bad = true
	}
}

func (c *coder) uint(v *uint64) {
	if c.bad {
		return
	}
	if c.writing {
		n := *v
		for ; n >= 0x80; n >>= 7 {
			c.buf = append(c.buf, byte(n)|0x80)
		}
		c.buf = append(c.buf, byte(n))
		return
	}
	var n uint64
	for i := 0; i < len(c.buf) && i < 10; i++ {
		b := c.buf[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			// One number has one encoding: no padding, nothing beyond 64 bits.
			c.check(i == 0 || b != 0)
			c.check(i < 9 || b <= 1)
			c.buf = c.buf[i+1:]
			*v = n
			return
		}
	}
	c.bad = true
}

func (c *coder) num(v *int64) {
	u := uint64(*v)<<1 ^ uint64(*v>>63)
	c.uint(&u)
	*v = int64(u>>1) ^ -int64(u&1)
}

func (c *coder) flag(v *bool) {
	var u uint64
	if *v {
		u = 1
	}
	c.uint(&u)
	c.check(u <= 1)
	*v = u == 1
}

func (c *coder) length(n, limit int) int {
	u := uint64(n)
	c.uint(&u)
	if u > uint64(limit) || (!c.writing && u > uint64(len(c.buf))) {
		c.bad = true
		return 0
	}
	return int(u)
}

func (c *coder) str(s *string) {
	n := c.length(len(*s), maxString)
	if c.bad {
		return
	}
	if c.writing {
		c.buf = append(c.buf, *s...)
	} else {
		*s, c.buf = string(c.buf[:n]), c.buf[n:]
	}
	for i := 0; i < len(*s); i++ {
		if (*s)[i] == 0 {
			c.bad = true
			return
		}
	}
}

func (c *coder) bytes(b *[]byte) {
	n := c.length(len(*b), maxList)
	if c.bad {
		return
	}
	if c.writing {
		c.buf = append(c.buf, *b...)
	} else if n > 0 {
		*b, c.buf = append([]byte(nil), c.buf[:n]...), c.buf[n:]
	}
}

func (c *coder) strs(list *[]string) {
	n := c.length(len(*list), maxList)
	if !c.writing && n > 0 && !c.bad {
		*list = make([]string, n)
	}
	for i := 0; i < len(*list) && !c.bad; i++ {
		c.str(&(*list)[i])
	}
}

func (c *coder) nums(list *[]int64) {
	n := c.length(len(*list), maxList)
	if !c.writing && n > 0 && !c.bad {
		*list = make([]int64, n)
	}
	for i := 0; i < len(*list) && !c.bad; i++ {
		c.num(&(*list)[i])
	}
}

func (c *coder) limits(list *[]Limit) {
	n := c.length(len(*list), 64)
	if !c.writing && n > 0 && !c.bad {
		*list = make([]Limit, n)
	}
	for i := 0; i < len(*list) && !c.bad; i++ {
		l := &(*list)[i]
		c.num(&l.Resource)
		c.uint(&l.Soft)
		c.uint(&l.Hard)
		c.str(&l.Name)
	}
}
