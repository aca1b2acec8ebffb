package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxLine bounds one line in bytes, its newline included.
const MaxLine = 1 << 20

// MaxOutput bounds each of the byte strings in an Answer; what is beyond is cut and Answer.Truncated set.
const MaxOutput = 256 << 10

// ErrTooLong reports a line of more than MaxLine bytes. The rest of that line was consumed.
var ErrTooLong = errors.New("cannot read a message: the line is too long")

// Op names what the agent shall do.
type Op string

// The operations that the agent knows.
const (
	// OpExec runs Argv and answers with its exit status and output.
	OpExec Op = "exec"
	// OpRead answers with the content of the file Path.
	OpRead Op = "read"
	// OpProcs answers with the processes of the guest.
	OpProcs Op = "procs"
	// OpKill sends Signal to each process whose command name is Name, or to PID.
	OpKill Op = "kill"
	// OpDial connects to Address, sends Data, and answers with what comes back up to the first newline.
	OpDial Op = "dial"
	// OpReady waits until the workload wrote to the ready pipe.
	OpReady Op = "ready"
	// OpLoadStart begins to request http://Address/ again and again, each time over a new connection, until OpLoadStop.
	OpLoadStart Op = "load-start"
	// OpLoadStop ends the requests and answers with Load.
	OpLoadStop Op = "load-stop"
	// OpOutage asks the service manager the same question without a pause, signals PID or Name, and answers with OutageMS: the longest
	// time without an answer from the signal on. It asks for WindowMS, and then until there was one more answer.
	OpOutage Op = "outage"
)

// Request is one line to the agent.
type Request struct {
	ID        uint64   `json:"id"`
	Op        Op       `json:"op"`
	Argv      []string `json:"argv,omitempty"`
	Path      string   `json:"path,omitempty"`
	Name      string   `json:"name,omitempty"`
	PID       int      `json:"pid,omitempty"`
	Signal    int      `json:"signal,omitempty"`
	Network   string   `json:"network,omitempty"`
	Address   string   `json:"address,omitempty"`
	Data      []byte   `json:"data,omitempty"`
	WindowMS  int64    `json:"window_ms,omitempty"`
	TimeoutMS int64    `json:"timeout_ms"`
}

// Answer is one line from the agent. Err is set when the operation itself failed; a program that ran and failed has only
// Exit set. An Answer with ID 0 is the agent's greeting.
type Answer struct {
	ID        uint64 `json:"id"`
	Exit      int    `json:"exit"`
	Stdout    []byte `json:"stdout,omitempty"`
	Stderr    []byte `json:"stderr,omitempty"`
	Truncated bool   `json:"truncated,omitempty"`
	Procs     []Proc `json:"procs,omitempty"`
	PIDs      []int  `json:"pids,omitempty"`
	Load      *Load  `json:"load,omitempty"`
	// OutageMS is in milliseconds.
	OutageMS float64 `json:"outage_ms,omitempty"`
	Err      string  `json:"err,omitempty"`
}

// Load is what became of the requests since OpLoadStart.
type Load struct {
	Requests  int     `json:"requests"` // that were answered with 200 OK and a whole page
	Failed    int     `json:"failed"`
	First     string  `json:"first,omitempty"` // why the first one failed
	LongestMS float64 `json:"longest_ms"`      // the slowest answer
}

// Proc is one process of the guest. Start is in clock ticks since the boot (proc(5), field 22 of /proc/PID/stat).
type Proc struct {
	PID   int    `json:"pid"`
	PPID  int    `json:"ppid"`
	Comm  string `json:"comm"`
	State string `json:"state"`
	Start uint64 `json:"start"`
}

// Write sends v as one line.
func Write(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode a message: %w", err)
	}
	if len(b)+1 > MaxLine {
		return ErrTooLong
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("cannot send a message: %w", err)
	}
	return nil
}

// SyntaxError reports a line that is not one message. The line was consumed; the next may be read.
type SyntaxError struct {
	Line []byte // at most its first 200 bytes
	Err  error
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("cannot decode the message %q: %v", e.Line, e.Err)
}

// Unwrap gives the decoder's error.
func (e *SyntaxError) Unwrap() error { return e.Err }

// Reader reads messages. It must be used from one goroutine at a time.
type Reader struct {
	r *bufio.Reader
}

// NewReader reads messages from r.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 16<<10)}
}

// Next decodes the next line into v; empty lines are skipped. After a *SyntaxError or ErrTooLong reading may go on; any other
// error is the stream's.
func (r *Reader) Next(v any) error {
	for {
		line, err := r.line()
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if err := json.Unmarshal(line, v); err != nil {
			return &SyntaxError{Line: bytes.Clone(line[:min(len(line), 200)]), Err: err}
		}
		return nil
	}
}

func (r *Reader) line() ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := r.r.ReadSlice('\n')
		if !long && len(line)+len(part) > MaxLine {
			long, line = true, nil
		}
		if !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return nil, err
		case long:
			return nil, ErrTooLong
		default:
			return line, nil
		}
	}
}
