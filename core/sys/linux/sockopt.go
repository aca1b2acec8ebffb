package linux

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/unit"
)

// sockopt is one option of socket(7), ip(7), ipv6(7) or tcp(7).
type sockopt struct {
	key         string // of [Socket], for messages
	on          bool
	level, name int
	value       int
	// must: without it the socket would listen elsewhere, or not know its peers: the
	// start fails. The others only tune; systemd warns, too.
	must bool
}

// setOptions sets what has to be set before bind(2).
func (w *World) setOptions(fd int, a Address, s unit.ListenSpec) error {
	o := s.Options
	if o.BindToDevice != "" {
		if err := unix.BindToDevice(fd, o.BindToDevice); err != nil {
			return fmt.Errorf("BindToDevice=%s: %w", o.BindToDevice, err)
		}
	}
	for _, opt := range socketOptions(a, s) {
		if !opt.on {
			continue
		}
		if err := unix.SetsockoptInt(fd, opt.level, opt.name, opt.value); err != nil {
			err = fmt.Errorf("%s: %w", opt.key, err)
			if opt.must {
				return err
			}
			w.note("", "listen on "+s.Address, err)
		}
	}
	for _, b := range [...]struct {
		key         string
		size        int64
		force, soft int
	}{
		{"ReceiveBuffer", o.ReceiveBuffer, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF},
		{"SendBuffer", o.SendBuffer, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF},
	} {
		if b.size <= 0 {
			continue
		}
		n := int(min(b.size, 1<<30)) // the kernel doubles it in an int
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, b.force, n) == nil {
			continue
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, b.soft, n); err != nil {
			w.note("", "listen on "+s.Address, fmt.Errorf("%s: %w", b.key, err))
		}
	}
	return nil
}

func socketOptions(a Address, s unit.ListenSpec) []sockopt {
	o := s.Options
	inet := a.Family != unix.AF_UNIX
	v6 := a.Family == unix.AF_INET6
	tcp := inet && s.Type == "stream"
	opts := []sockopt{
		{"KeepAlive", o.KeepAlive, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1, false},
		{"Broadcast", o.Broadcast, unix.SOL_SOCKET, unix.SO_BROADCAST, 1, false},
		{"PassCredentials", o.PassCredentials, unix.SOL_SOCKET, unix.SO_PASSCRED, 1, true},
		{"PassSecurity", o.PassSecurity, unix.SOL_SOCKET, unix.SO_PASSSEC, 1, false},
		{"Priority", o.Priority != 0, unix.SOL_SOCKET, unix.SO_PRIORITY, o.Priority, false},
		{"Mark", o.Mark != 0, unix.SOL_SOCKET, unix.SO_MARK, o.Mark, false},
		{"ReusePort", o.ReusePort, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1, true},
		// As systemd does: a restart must not wait for TIME_WAIT.
		{"SO_REUSEADDR", inet, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1, true},
		{"NoDelay", tcp && o.NoDelay, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1, false},
		{"FreeBind", inet && o.FreeBind, unix.IPPROTO_IP, unix.IP_FREEBIND, 1, true},
		{"Transparent", inet && o.Transparent, unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1, true},
		{"IPTOS", inet && o.IPTOS > 0, unix.IPPROTO_IP, unix.IP_TOS, o.IPTOS, false},
		{"IPTTL", inet && o.IPTTL > 0, unix.IPPROTO_IP, unix.IP_TTL, o.IPTTL, false},
		{"IPTTL", v6 && o.IPTTL > 0, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, o.IPTTL, false},
		{"PassPacketInfo", inet && o.PassPacketInfo, unix.IPPROTO_IP, unix.IP_PKTINFO, 1, true},
		{"PassPacketInfo", v6 && o.PassPacketInfo, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1, true},
	}
	switch {
	case !v6:
	case o.BindIPv6Only == "both":
		opts = append(opts, sockopt{"BindIPv6Only", true, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0, true})
	case o.BindIPv6Only == "ipv6-only":
		opts = append(opts, sockopt{"BindIPv6Only", true, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1, true})
	}
	return opts
}
