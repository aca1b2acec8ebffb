package socket

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// unixPathMax is the longest name in sockaddr_un (unix(7)), less the NUL.
const unixPathMax = 107

// parseAddress checks the address of listens[kind] (man systemd.socket(5), ListenStream=) and
// gives it back, paths normalised.
func parseAddress(kind int, v string) (string, error) {
	l := &listens[kind]
	bad := fmt.Errorf("%q is not valid (valid: %s)", v, l.syntax)
	switch {
	case len(v) > 4096 || strings.IndexByte(v, 0) >= 0:
		return "", bad
	case l.kind == "":
		return v, nil // known, and refused at the start
	case kind == listenFIFO:
		return unit.ParsePath(v)
	case v[0] == '/':
		p, err := unit.ParsePath(v)
		if err == nil && len(p) > unixPathMax {
			return "", fmt.Errorf("%q is longer than %d bytes", v, unixPathMax)
		}
		return p, err
	case v[0] == '@':
		if len(v) < 2 || len(v)-1 > unixPathMax {
			return "", bad
		}
		return v, nil
	case kind == listenSeqPacket:
		return "", bad
	case isPort(v):
		return v, nil
	}
	host, number, ok := cutPort(v)
	bracketed := strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")
	if bracketed {
		host = host[1 : len(host)-1]
	}
	ip, err := netip.ParseAddr(host)
	if !ok || !isPort(number) || err != nil || ip.Is4() == bracketed {
		return "", bad
	}
	return v, nil
}

func cutPort(v string) (host, number string, ok bool) {
	i := strings.LastIndexByte(v, ':')
	if i < 0 {
		return v, "", false
	}
	return v[:i], v[i+1:], true
}

func isPort(v string) bool {
	n, err := strconv.ParseUint(v, 10, 16)
	return err == nil && n > 0
}

// path is where the socket is in the file system; empty if it is nowhere.
func (p port) path() string {
	if l := &listens[p.kind]; l.kind != "" && strings.HasPrefix(p.address, "/") {
		return p.address
	}
	return ""
}

// parseTOS and its kin read names or numbers (ip(7), IP_TOS).
func parseTOS(v string) (int, error) {
	for _, t := range [...]struct {
		word  string
		value int
	}{{"low-delay", 0x10}, {"throughput", 0x08}, {"reliability", 0x04}, {"low-cost", 0x02}} {
		if v == t.word {
			return t.value, nil
		}
	}
	n, err := strconv.ParseUint(v, 0, 8)
	if err != nil {
		return 0, fmt.Errorf("%q is not valid (valid: 0 to 255, low-delay, throughput, reliability, low-cost)", v)
	}
	return int(n), nil
}
