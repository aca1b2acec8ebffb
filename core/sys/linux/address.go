package linux

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Address is a socket address as ListenStream= and its kin spell it (man systemd.socket(5)).
type Address struct {
	Family int    // AF_UNIX, AF_INET, AF_INET6
	Path   string // AF_UNIX in the file system
	Name   string // AF_UNIX, abstract: without the "@"
	Any    bool   // a bare port: IPv6 for both, IPv4 where there is no IPv6
	Host   netip.Addr
	Port   uint16
	zone   uint32
}

// unixPathMax is the longest name in sockaddr_un (unix(7)), less the NUL.
const unixPathMax = 107

// ParseAddress reads "/path", "@abstract", "[v6]:port", "v4:port" or a bare port.
// An interface behind "%" must exist.
func ParseAddress(s string) (Address, error) {
	switch {
	case s == "" || strings.IndexByte(s, 0) >= 0:
		return Address{}, fmt.Errorf("address %q is empty or has a NUL", s)
	case s[0] == '/':
		p := filepath.Clean(s)
		if len(p) > unixPathMax {
			return Address{}, fmt.Errorf("path %q is longer than %d bytes", s, unixPathMax)
		}
		return Address{Family: unix.AF_UNIX, Path: p}, nil
	case s[0] == '@':
		if len(s) < 2 || len(s)-1 > unixPathMax {
			return Address{}, fmt.Errorf("abstract name %q has not 1 to %d bytes", s, unixPathMax)
		}
		return Address{Family: unix.AF_UNIX, Name: s[1:]}, nil
	}
	if port, ok := parsePort(s); ok {
		return Address{Family: unix.AF_INET6, Any: true, Host: netip.IPv6Unspecified(), Port: port}, nil
	}
	return parseInet(s)
}

func parseInet(s string) (Address, error) {
	bad := fmt.Errorf("address %q: want /path, @name, port, v4:port or [v6]:port", s)
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return Address{}, bad
	}
	port, ok := parsePort(s[i+1:])
	host := s[:i]
	bracketed := strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")
	if bracketed {
		host = host[1 : len(host)-1]
	}
	ip, err := netip.ParseAddr(host)
	if !ok || err != nil || ip.Is4() == bracketed {
		return Address{}, bad
	}
	a := Address{Family: unix.AF_INET, Host: ip.WithZone(""), Port: port}
	if !ip.Is4() {
		a.Family = unix.AF_INET6
		if a.zone, err = zoneIndex(ip.Zone()); err != nil {
			return Address{}, fmt.Errorf("address %q: %w", s, err)
		}
	}
	return a, nil
}

func parsePort(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n > 0
}

// zoneIndex is the number of an interface given by name or number.
func zoneIndex(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	if strings.ContainsAny(zone, "/\x00") || zone == ".." || zone == "." {
		return 0, fmt.Errorf("no interface %q", zone)
	}
	b, err := os.ReadFile("/sys/class/net/" + zone + "/ifindex")
	if err != nil {
		return 0, fmt.Errorf("no interface %q: %w", zone, err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	return uint32(n), err
}

// withoutIPv6 is the same bare port on a machine without IPv6.
func (a Address) withoutIPv6() Address {
	a.Family, a.Host = unix.AF_INET, netip.IPv4Unspecified()
	return a
}

// Sockaddr is the address for bind(2).
func (a Address) Sockaddr() unix.Sockaddr {
	switch {
	case a.Path != "":
		return &unix.SockaddrUnix{Name: a.Path}
	case a.Name != "":
		return &unix.SockaddrUnix{Name: "@" + a.Name}
	case a.Family == unix.AF_INET:
		return &unix.SockaddrInet4{Port: int(a.Port), Addr: a.Host.As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port), ZoneId: a.zone, Addr: a.Host.As16()}
}
