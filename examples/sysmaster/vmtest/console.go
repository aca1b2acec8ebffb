package vmtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
)

// consoleLimit bounds what is kept of a console, in bytes; the oldest goes first.
const consoleLimit = 1 << 20

// Console keeps the end of what the guest wrote to its first serial port. It is safe for concurrent use.
type Console struct {
	mu      sync.Mutex
	text    []byte
	dropped int           // bytes that are no longer in text
	changed chan struct{} // closed and replaced at each write
	done    bool
	copyTo  io.Writer // may be nil
}

func newConsole(copyTo io.Writer) *Console {
	return &Console{changed: make(chan struct{}), copyTo: copyTo}
}

// follow reads until the guest's end of the line is closed, which is how a stream from QEMU ends.
func (c *Console) follow(r io.Reader) {
	buf := make([]byte, 16<<10)
	for {
		n, err := r.Read(buf)
		c.add(buf[:n], err != nil)
		if err != nil {
			return
		}
	}
}

func (c *Console) add(p []byte, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	if over := len(c.text) - consoleLimit; over > 0 {
		c.text = bytes.Clone(c.text[over:])
		c.dropped += over
	}
	c.done = done
	close(c.changed)
	c.changed = make(chan struct{})
	if c.copyTo != nil {
		if _, err := c.copyTo.Write(p); err != nil {
			c.copyTo = nil
		}
	}
}

// Text is what is kept of the console.
func (c *Console) Text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}

// Tail is at most the last n bytes without terminal control sequences, from the beginning of a line where there is one.
func (c *Console) Tail(n int) string {
	text := plain(c.Text())
	if len(text) <= n {
		return text
	}
	text = text[len(text)-n:]
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	return text
}

// plain removes ECMA-48 control sequences (ESC [ parameters final-byte) and carriage returns.
func plain(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "\x1b[")
		b.WriteString(strings.ReplaceAll(before, "\r", ""))
		if !found {
			return b.String()
		}
		end := strings.IndexFunc(after, func(r rune) bool { return r >= 0x40 && r <= 0x7e })
		if end < 0 {
			return b.String()
		}
		text = after[end+1:]
	}
}

// Mark is a position: Await with it looks only at what is written later.
func (c *Console) Mark() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped + len(c.text)
}

// Await blocks until the console has the text after the mark (0 for everything), the console ended, or ctx ended.
func (c *Console) Await(ctx context.Context, mark int, text string) error {
	for {
		c.mu.Lock()
		from := min(max(0, mark-c.dropped), len(c.text))
		found, done, changed := bytes.Contains(c.text[from:], []byte(text)), c.done, c.changed
		c.mu.Unlock()
		switch {
		case found:
			return nil
		case done:
			return fmt.Errorf("cannot find %q on the console: the machine ended", text)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("cannot find %q on the console: %w", text, ctx.Err())
		}
	}
}
