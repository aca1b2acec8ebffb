package spawn

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// maxDatabase bounds /etc/passwd and /etc/group, in bytes.
const maxDatabase = 8 << 20

// User is one line of /etc/passwd (man passwd(5)).
type User struct {
	Name        string
	UID, GID    uint32
	Home, Shell string
}

// Group is one line of /etc/group (man group(5)).
type Group struct {
	Name    string
	GID     uint32
	Members []string
}

// ParsePasswd reads name:password:UID:GID:comment:home:shell lines; others are passed over.
func ParsePasswd(b []byte) []User {
	var users []User
	eachEntry(b, 7, func(f []string) {
		uid, ok1 := parseID(f[2])
		gid, ok2 := parseID(f[3])
		if f[0] != "" && ok1 && ok2 {
			users = append(users, User{f[0], uid, gid, f[5], f[6]})
		}
	})
	return users
}

// ParseGroup reads name:password:GID:member,member lines; others are passed over.
func ParseGroup(b []byte) []Group {
	var groups []Group
	eachEntry(b, 4, func(f []string) {
		gid, ok := parseID(f[2])
		if f[0] == "" || !ok {
			return
		}
		g := Group{Name: f[0], GID: gid}
		if f[3] != "" {
			g.Members = strings.Split(f[3], ",")
		}
		groups = append(groups, g)
	})
	return groups
}

func eachEntry(b []byte, fields int, f func([]string)) {
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte{'\n'})
		if len(line) == 0 || line[0] == '#' || bytes.IndexByte(line, 0) >= 0 {
			continue
		}
		if p := strings.Split(string(line), ":"); len(p) == fields {
			f(p)
		}
	}
}

// parseID reads a UID or GID; the two values that mean "none" to the kernel are none.
func parseID(s string) (uint32, bool) {
	if s == "" || s[0] == '+' || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0xffffffff || n == 0xffff {
		return 0, false
	}
	return uint32(n), true
}

// users answers from the two files, which it reads again when they were replaced or changed.
type users struct {
	mu     sync.Mutex
	passwd cached[User]
	group  cached[Group]
}

type cached[T any] struct {
	path    string
	parse   func([]byte) []T
	id      fileID
	entries []T
}

// fileID changes whenever a file's content may have.
type fileID struct {
	dev, ino     uint64
	size         int64
	mtime, ctime syscall.Timespec
}

func (c *cached[T]) get() ([]T, error) {
	f, err := os.OpenFile(c.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		c.entries, c.id = nil, fileID{}
		return nil, err
	}
	defer f.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return nil, err
	}
	id := fileID{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}
	if id == c.id {
		return c.entries, nil
	}
	b, err := io.ReadAll(io.LimitReader(f, maxDatabase+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxDatabase {
		return nil, fmt.Errorf("%s is larger than %d bytes", c.path, maxDatabase)
	}
	c.entries, c.id = c.parse(b), id
	return c.entries, nil
}

// user finds a user by name or number. "root" and "nobody" are there even without a file.
func (u *users) user(name string) (User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch name {
	case "root", "0":
		root := User{Name: "root", Home: "/root", Shell: "/bin/sh"}
		if list, err := u.passwd.get(); err == nil {
			if i := slices.IndexFunc(list, func(e User) bool { return e.Name == "root" && e.UID == 0 }); i >= 0 {
				root = list[i]
			}
		}
		return root, nil
	}
	list, err := u.passwd.get()
	if i := slices.IndexFunc(list, func(e User) bool { return e.Name == name }); i >= 0 {
		return list[i], nil
	}
	if uid, ok := parseID(name); ok {
		if i := slices.IndexFunc(list, func(e User) bool { return e.UID == uid }); i >= 0 {
			return list[i], nil
		}
	}
	if name == "nobody" || name == "65534" {
		return User{Name: "nobody", UID: 65534, GID: 65534, Home: "/", Shell: "/usr/sbin/nologin"}, nil
	}
	if err != nil {
		return User{}, err
	}
	return User{}, fmt.Errorf("%q is not in %s", name, u.passwd.path)
}

// groupID finds a group by name or number.
func (u *users) groupID(name string) (uint32, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if name == "root" || name == "0" {
		return 0, nil
	}
	list, err := u.group.get()
	if i := slices.IndexFunc(list, func(e Group) bool { return e.Name == name }); i >= 0 {
		return list[i].GID, nil
	}
	if gid, ok := parseID(name); ok && slices.ContainsFunc(list, func(e Group) bool { return e.GID == gid }) {
		return gid, nil
	}
	if err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("%q is not in %s", name, u.group.path)
}

// memberships are the groups that list name as a member, as initgroups(3) collects them.
func (u *users) memberships(name string) ([]uint32, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	list, err := u.group.get()
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []uint32
	for _, g := range list {
		if slices.Contains(g.Members, name) && !slices.Contains(out, g.GID) {
			out = append(out, g.GID)
		}
	}
	return out, nil
}
