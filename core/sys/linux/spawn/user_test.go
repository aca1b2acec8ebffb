package spawn

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const passwdText = `root:x:0:0:root:/root:/bin/bash
# a comment
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
broken:x:1:1:too few
bad:x:-1:0::/:/bin/sh
none:x:4294967295:0::/:/bin/sh
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
+nis
`

const groupText = "root:x:0:\nwww-data:x:33:\nssl:x:104:www-data,daemon\nlog:x:105:www-data\nagain:x:105:www-data\n"

func testUsers(t *testing.T) (*users, string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "passwd"), []byte(passwdText), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "group"), []byte(groupText), 0o644))
	return &users{
		passwd: cached[User]{path: filepath.Join(dir, "passwd"), parse: ParsePasswd},
		group:  cached[Group]{path: filepath.Join(dir, "group"), parse: ParseGroup},
	}, dir
}

func TestUsers(t *testing.T) {
	u, dir := testUsers(t)
	for name, want := range map[string]User{
		"www-data": {"www-data", 33, 33, "/var/www", "/usr/sbin/nologin"},
		"33":       {"www-data", 33, 33, "/var/www", "/usr/sbin/nologin"},
		"root":     {"root", 0, 0, "/root", "/bin/bash"},
		"nobody":   {"nobody", 65534, 65534, "/", "/usr/sbin/nologin"},
	} {
		got, err := u.user(name)
		require.NoError(t, err, name)
		require.Equal(t, want, got)
	}
	for _, name := range []string{"bad", "none", "broken", "+nis", "34", "", "-1", "4294967295", "033"} {
		_, err := u.user(name)
		require.Error(t, err, "%q", name)
	}
	groups, err := u.memberships("www-data")
	require.NoError(t, err)
	require.Equal(t, []uint32{104, 105}, groups)
	gid, err := u.groupID("104")
	require.NoError(t, err)
	require.EqualValues(t, 104, gid)
	_, err = u.groupID("4711")
	require.Error(t, err)

	// A user that was added meanwhile is found, also if the file was replaced.
	next := filepath.Join(dir, "next")
	require.NoError(t, os.WriteFile(next, []byte(passwdText+"new:x:1000:33::/home/new:/bin/sh\n"), 0o644))
	require.NoError(t, os.Rename(next, filepath.Join(dir, "passwd")))
	got, err := u.user("new")
	require.NoError(t, err)
	require.EqualValues(t, 1000, got.UID)

	require.NoError(t, os.Remove(filepath.Join(dir, "passwd")))
	_, err = u.user("www-data")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = u.user("root")
	require.NoError(t, err, "root is root without a file")
}

func FuzzParsePasswd(f *testing.F) {
	f.Add([]byte(passwdText))
	f.Add([]byte("a:b:0:0:::\x00\n:::::::"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, u := range ParsePasswd(b) {
			if u.Name == "" || u.UID == 0xffffffff || u.GID == 0xffffffff || u.UID == 0xffff {
				t.Fatalf("ParsePasswd(%q) has %+v", b, u)
			}
		}
	})
}

func FuzzParseGroup(f *testing.F) {
	f.Add([]byte(groupText))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, g := range ParseGroup(b) {
			if g.Name == "" || g.GID == 0xffffffff {
				t.Fatalf("ParseGroup(%q) has %+v", b, g)
			}
		}
	})
}
