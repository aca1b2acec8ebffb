package linux

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

func listenOn(t *testing.T, w *World, seq uint64, specs ...unit.ListenSpec) string {
	t.Helper()
	in := sys.Intent{Unit: "a.socket", Seq: seq, Effect: unit.Listen{Sockets: specs}}
	w.Act(in)
	return awaitDone(t, w, in)
}

func TestListenOnAPath(t *testing.T) {
	init := newFakeInit(t)
	w := newWorld(t, Config{Init: init.client})
	dir := t.TempDir()
	path := filepath.Join(dir, "deep/er/sock")
	link := filepath.Join(dir, "link")
	spec := unit.ListenSpec{Key: "a.socket/0", Type: "stream", Address: path, Options: unit.SocketOptions{
		Mode: 0o620, DirMode: 0o711, PassCredentials: true, Symlinks: []string{link}, ReceiveBuffer: 65536, KeepAlive: true,
	}}
	require.Empty(t, listenOn(t, w, 1, spec))
	init.look(func() { require.Contains(t, init.kept, "a.socket/0") })

	var st unix.Stat_t
	require.NoError(t, unix.Lstat(path, &st))
	require.EqualValues(t, unix.S_IFSOCK|0o620, st.Mode)
	require.NoError(t, unix.Lstat(filepath.Dir(path), &st))
	require.EqualValues(t, 0o711, st.Mode&0o7777)

	w.Act(sys.Intent{Unit: "a.socket", Seq: 2, Effect: unit.WatchFD{Keys: []string{"a.socket/0"}}})
	require.Empty(t, drain(w))
	c, err := net.Dial("unix", link)
	require.NoError(t, err)
	_, r := await[unit.FDReady](t, w, nil)
	require.Equal(t, "a.socket/0", r.Key)
	require.Empty(t, drain(w), "a watch is over when it has told")
	require.NoError(t, c.Close())

	require.Empty(t, listenOn(t, w, 3, spec), "what is held is not made again")
	drop := sys.Intent{Unit: "a.socket", Seq: 4, Effect: unit.DropFD{Keys: []string{"a.socket/0"}, Unlink: []string{path}}}
	w.Act(drop)
	require.Empty(t, awaitDone(t, w, drop))
	require.NoFileExists(t, path)
	init.look(func() { require.NotContains(t, init.kept, "a.socket/0") })
}

func TestListenReplacesAStaleSocketOnly(t *testing.T) {
	w := newWorld(t, Config{})
	path := filepath.Join(t.TempDir(), "s")
	spec := unit.ListenSpec{Key: "k", Type: "dgram", Address: path}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	require.NoError(t, unix.Close(fd))
	require.Empty(t, listenOn(t, w, 1, spec))

	file := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	spec = unit.ListenSpec{Key: "k2", Type: "stream", Address: file}
	require.Contains(t, listenOn(t, w, 2, spec), "in the way")
	require.FileExists(t, file)
}

func TestListenKinds(t *testing.T) {
	w := newWorld(t, Config{})
	dir := t.TempDir()
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	for i, s := range []unit.ListenSpec{
		{Type: "stream", Address: "@sysmaster-test-" + strconv.Itoa(os.Getpid())},
		{Type: "seqpacket", Address: dir + "/seq"},
		{Type: "stream", Address: "127.0.0.1:" + free(), Options: unit.SocketOptions{ReusePort: true, FreeBind: true, NoDelay: true, IPTTL: 9, IPTOS: 16}},
		{Type: "stream", Address: "[::1]:" + free(), Options: unit.SocketOptions{BindIPv6Only: "ipv6-only", PassPacketInfo: true}},
		{Type: "dgram", Address: free(), Options: unit.SocketOptions{BindIPv6Only: "both", Broadcast: true}},
		{Type: "fifo", Address: dir + "/deep/fifo", Options: unit.SocketOptions{Mode: 0o600, PipeSize: 8192}},
	} {
		s.Key = "key" + strconv.Itoa(i)
		require.Empty(t, listenOn(t, w, uint64(i+1), s), "listen on %+v", s)
		require.True(t, w.Held(s.Key))
	}
	n, err := unix.FcntlInt(uintptr(w.fds["key5"].fd), unix.F_GETPIPE_SZ, 0)
	require.NoError(t, err)
	require.Equal(t, 8192, n)
	ttl, err := unix.GetsockoptInt(w.fds["key2"].fd, unix.IPPROTO_IP, unix.IP_TTL)
	require.NoError(t, err)
	require.Equal(t, 9, ttl)
	only, err := unix.GetsockoptInt(w.fds["key4"].fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	require.NoError(t, err)
	require.Zero(t, only)
}

func TestListenMakesAllOrNone(t *testing.T) {
	w := newWorld(t, Config{})
	a := unit.ListenSpec{Key: "a", Type: "stream", Address: t.TempDir() + "/a"}
	b := unit.ListenSpec{Key: "b", Type: "stream", Address: "nonsense"}
	require.Contains(t, listenOn(t, w, 1, a, b), "cannot listen on nonsense")
	require.False(t, w.Held("a"))
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]unix.Sockaddr{
		"/run/x.sock":    &unix.SockaddrUnix{Name: "/run/x.sock"},
		"/run//./x.sock": &unix.SockaddrUnix{Name: "/run/x.sock"},
		"@abc":           &unix.SockaddrUnix{Name: "@abc"},
		"80":             &unix.SockaddrInet6{Port: 80},
		"1.2.3.4:53":     &unix.SockaddrInet4{Port: 53, Addr: [4]byte{1, 2, 3, 4}},
		"[::1%lo]:9":     &unix.SockaddrInet6{Port: 9, ZoneId: 1, Addr: [16]byte{15: 1}},
	} {
		a, err := ParseAddress(text)
		require.NoError(t, err, text)
		require.Equal(t, want, a.Sockaddr(), text)
	}
	for _, text := range []string{"", "0", "65536", "x", "@", "1.2.3.4", "::1:80", "[1.2.3.4]:80", "[::1]", "[::1%nosuch]:1", "[::1%../lo]:1", "/" + string(make([]byte, 3)), "/" + string(make([]rune, 200))} {
		_, err := ParseAddress(text)
		require.Error(t, err, text)
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"/run/x", "@x", "80", "1.2.3.4:5", "[::1%lo]:6"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseAddress(s); err == nil && a.Sockaddr() == nil {
			t.Fatalf("ParseAddress(%q) has no sockaddr", s)
		}
	})
}
