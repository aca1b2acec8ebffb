package wire

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ErrAuth says that the handshake failed.
var ErrAuth = errors.New("authentication failed")

const (
	authLineMax  = 1 << 10 // longest line of the handshake, bytes
	authLinesMax = 16      // lines before BEGIN; a normal client sends three or four
)

// Accept is the server's side of the handshake: EXTERNAL only, where the identity is uid, what the
// kernel says of the peer (SO_PEERCRED); a client that claims another one is turned
// away. guid identifies the server, 32 hexadecimal digits. The result says whether descriptors
// were agreed on. The caller bounds the time by a deadline on the connection.
func Accept(r *bufio.Reader, w io.Writer, uid int, guid string, fds bool) (bool, error) {
	if b, err := r.ReadByte(); err != nil {
		return false, err
	} else if b != 0 {
		return false, fmt.Errorf("%w: the first byte is %#x, not 0", ErrAuth, b)
	}
	s := acceptor{uid: uid, guid: guid, fds: fds}
	for n := 0; n < authLinesMax; n++ {
		line, err := authLine(r)
		if err != nil {
			return false, err
		}
		if line == "BEGIN" && s.ok {
			return s.agreed, nil
		}
		answer := s.answer(line)
		if answer == "" {
			return false, fmt.Errorf("%w: client sent %.40q", ErrAuth, line)
		}
		if _, err := io.WriteString(w, answer+"\r\n"); err != nil {
			return false, err
		}
	}
	return false, fmt.Errorf("%w: more than %d lines", ErrAuth, authLinesMax)
}

// acceptor is the server's state machine: start, (waiting for data), ok.
type acceptor struct {
	uid               int
	guid              string
	fds               bool
	waits, ok, agreed bool
}

// answer is the reply to one line, empty to close the connection.
func (s *acceptor) answer(line string) string {
	cmd, arg, _ := strings.Cut(line, " ")
	switch cmd {
	case "AUTH":
		s.ok, s.agreed = false, false
		mech, initial, has := strings.Cut(arg, " ")
		if s.waits = mech == "EXTERNAL" && !has; s.waits {
			return "DATA"
		}
		if mech == "EXTERNAL" {
			return s.identity(initial)
		}
		return "REJECTED EXTERNAL"
	case "DATA":
		if !s.waits {
			return "ERROR \"no authentication under way\""
		}
		s.waits = false
		return s.identity(arg)
	case "CANCEL", "ERROR":
		s.waits, s.ok, s.agreed = false, false, false
		return "REJECTED EXTERNAL"
	case "NEGOTIATE_UNIX_FD":
		if s.ok && s.fds {
			s.agreed = true
			return "AGREE_UNIX_FD"
		}
		return "ERROR \"descriptors are not passed here\""
	case "BEGIN":
		return ""
	}
	return "ERROR \"unknown command\""
}

// identity checks the claimed user id, hexadecimal ASCII digits; nothing claims the peer's own.
func (s *acceptor) identity(claim string) string {
	if claim != "" {
		b, err := hex.DecodeString(claim)
		if err != nil || string(b) != strconv.Itoa(s.uid) {
			return "REJECTED EXTERNAL"
		}
	}
	s.ok = true
	return "OK " + s.guid
}

// authLine reads up to CR LF, without it.
func authLine(r *bufio.Reader) (string, error) {
	var b []byte
	for len(b) < authLineMax {
		c, err := r.ReadByte()
		if err != nil {
			return "", noEOF(err)
		}
		if b = append(b, c); c == '\n' {
			if len(b) < 2 || b[len(b)-2] != '\r' {
				return "", fmt.Errorf("%w: a line does not end in CR LF", ErrAuth)
			}
			return string(b[:len(b)-2]), nil
		}
	}
	return "", fmt.Errorf("%w: a line is longer than %d bytes", ErrAuth, authLineMax)
}

// Connect is the client's side of the handshake, as whoever the kernel says we are.
func Connect(r *bufio.Reader, w io.Writer, uid int) error {
	claim := hex.EncodeToString([]byte(strconv.Itoa(uid)))
	if _, err := io.WriteString(w, "\x00AUTH EXTERNAL "+claim+"\r\n"); err != nil {
		return err
	}
	line, err := authLine(r)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "OK ") {
		return fmt.Errorf("%w: the server answered %.60q", ErrAuth, line)
	}
	_, err = io.WriteString(w, "BEGIN\r\n")
	return err
}
