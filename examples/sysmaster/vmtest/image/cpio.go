package image

import (
	"fmt"
	"io"
)

// cpioWriter writes the "newc" archive that the kernel unpacks as its initramfs (kernel doc early-userspace/buffer-format).
// The first error sticks.
type cpioWriter struct {
	w     io.Writer
	n     int64
	inode int
	err   error
}

func (c *cpioWriter) dir(name string)                         { c.entry(name, 0o040755, 0, 0, nil) }
func (c *cpioWriter) file(name string, mode uint32, b []byte) { c.entry(name, 0o100000|mode, 0, 0, b) }
func (c *cpioWriter) char(name string, major, minor uint32) {
	c.entry(name, 0o020600, major, minor, nil)
}
func (c *cpioWriter) close() error { c.entry("TRAILER!!!", 0, 0, 0, nil); return c.err }

func (c *cpioWriter) entry(name string, mode, major, minor uint32, b []byte) {
	c.inode++
	// inode mode uid gid nlink mtime size devmajor devminor rdevmajor rdevminor namesize check
	fmt.Fprintf(c, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.inode, mode, 0, 0, 1, 0, len(b), 0, 0, major, minor, len(name)+1, 0)
	c.Write([]byte(name + "\x00"))
	c.pad()
	c.Write(b)
	c.pad()
}

// pad fills up to a multiple of four bytes.
func (c *cpioWriter) pad() { c.Write(make([]byte, -c.n&3)) }

// Write implements io.Writer.
func (c *cpioWriter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.err = err
	return n, err
}
