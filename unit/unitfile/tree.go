package unitfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const (
	// FileMax is the largest unit file that is read, in bytes.
	FileMax = 16 << 20
	// linksMax is how many symbolic links one path may lead through (as in the kernel).
	linksMax = 40
	// entriesMax is how many entries of one directory are looked at.
	entriesMax = 1 << 16
)

var (
	errLinks    = errors.New("too many levels of symbolic links")
	errTooBig   = errors.New("it is larger than 16 MiB")
	errNoFile   = errors.New("it is not a regular file")
	errTooMany  = errors.New("it has too many entries")
	errReadLink = errors.New("the file system cannot read symbolic links")
)

// tree is a file system whose symbolic links are resolved here, so that none leads out of
// its root. Paths are absolute.
type tree struct{ fs fs.FS }

// open is the name that fs.FS wants for an absolute path.
func fsName(p string) string {
	if p == "/" {
		return "."
	}
	return p[1:]
}

func (t *tree) lstat(p string) (fs.FileInfo, error) { return fs.Lstat(t.fs, fsName(p)) }

func (t *tree) readLink(p string) (string, error) {
	if _, ok := t.fs.(fs.ReadLinkFS); !ok {
		return "", errReadLink
	}
	return fs.ReadLink(t.fs, fsName(p))
}

// resolve follows all links in p. A path that does not exist gives an error that is
// fs.ErrNotExist, and the path as far as it is known.
func (t *tree) resolve(p string) (string, error) {
	done, rest, links := "/", path.Clean(p), 0
	for {
		rest = strings.TrimLeft(rest, "/")
		if rest == "" {
			return done, nil
		}
		part, after, _ := strings.Cut(rest, "/")
		switch part {
		case ".":
			rest = after
			continue
		case "..":
			done, rest = path.Dir(done), after
			continue
		}
		next := path.Join(done, part)
		info, err := t.lstat(next)
		if err != nil {
			return path.Join(next, after), err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done, rest = next, after
			continue
		}
		if links++; links > linksMax {
			return next, errLinks
		}
		target, err := t.readLink(next)
		if err != nil {
			return next, err
		}
		if strings.HasPrefix(target, "/") {
			done = "/"
		}
		rest = target + "/" + after
		if len(rest) > 1<<16 {
			return next, errLinks
		}
	}
}

// read returns the text of the regular file p, whose links are resolved, up to limit bytes.
func (t *tree) read(p string, limit int64) (string, error) {
	info, err := t.lstat(p)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", errNoFile
	case info.Size() > limit:
		return "", errTooBig
	}
	f, err := t.fs.Open(fsName(p))
	if err != nil {
		return "", err
	}
	defer f.Close()
	// The size is a hint: files of /proc have none, and a file may grow while it is read.
	buf := make([]byte, 0, max(int(info.Size()), 511)+1)
	for {
		n, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return "", errTooBig
		case errors.Is(err, io.EOF):
			return string(buf), nil
		case err != nil:
			return "", err
		}
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf))
		}
	}
}

// list returns the entries of a directory, sorted by name. A directory that does not
// exist has none; one with too many gives the first, and an error.
func (t *tree) list(p string) ([]fs.DirEntry, error) {
	f, err := t.fs.Open(fsName(p))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dir, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, fmt.Errorf("%s is not a directory", p)
	}
	entries, err := dir.ReadDir(entriesMax + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return entries, err
	}
	sortEntries(entries)
	if len(entries) > entriesMax {
		return entries[:entriesMax], errTooMany
	}
	return entries, nil
}

// devNull is where a link leads that masks.
const devNull = "/dev/null"

// masks reports whether the resolved path p is what systemd takes for a mask: /dev/null,
// another device, or an empty regular file.
func (t *tree) masks(p string) bool {
	if p == devNull {
		return true
	}
	info, err := t.lstat(p)
	if err != nil {
		return false
	}
	return info.Mode()&fs.ModeDevice != 0 || info.Mode().IsRegular() && info.Size() == 0
}
