package unitfile

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/unit"
)

func TestLevels(t *testing.T) {
	for name, want := range map[unit.Name]string{
		"a.service": "a.service",
		// Measured on systemd 252 by taking away the winner again and again.
		"foo-bar-baz@x.service": "foo-bar-baz@x.service foo-bar-baz@.service foo-bar-.service foo-.service foo-bar-@x.service foo-bar-@.service foo-@x.service foo-@.service",
		"foo-bar-baz.service":   "foo-bar-baz.service foo-bar-.service foo-.service",
		"foo--bar-.service":     "foo--bar-.service foo--.service foo-.service",
		"-.slice":               "-.slice",
		"user-1000.slice":       "user-1000.slice user-.slice",
	} {
		require.Equal(t, want, strings.Join(levels(name), " "), string(name))
	}
}

func TestDropInsHideEachOther(t *testing.T) {
	d := "[Unit]\nDescription=x\n"
	l := newLoader(map[string]string{
		lib + "/foo-bar@.service":                   simple,
		lib + "/alias-x@.service":                   "-> foo-bar@.service",
		lib + "/foo-bar@.service.d/10.conf":         d,
		run + "/foo-bar@.service.d/10.conf":         d,
		etc + "/foo-.service.d/20.conf":             d,
		lib + "/foo-bar@x.service.d/20.conf":        d,
		etc + "/service.d/30.conf":                  d,
		lib + "/foo-bar@.service.d/30.conf":         d,
		etc + "/alias-x@x.service.d/40.conf":        d,
		lib + "/foo-bar@.service.d/40.conf":         d,
		etc + "/alias-x@x.service.d/50.conf":        d,
		etc + "/foo-bar@.service.d/60.conf":         "-> /dev/null",
		lib + "/foo-bar@x.service.d/60.conf":        d,
		etc + "/foo-bar@.service.d/70.conf":         "",
		lib + "/foo-bar@x.service.d/70.conf":        d,
		etc + "/foo-bar@.service.d/.80.conf":        d,
		etc + "/foo-bar@.service.d/80.conf~":        d,
		etc + "/foo-bar@x.service.d/90.conf":        "-> ../elsewhere",
		etc + "/elsewhere":                          d,
		etc + "/foo-bar@x.service.d/95.conf":        "-> 95.conf",
		etc + "/foo-bar@x.service.d/a.conf/nothing": "",
		lib + "/service.d/05.conf":                  d,
	})
	s := l.Load("foo-bar@x.service")
	require.Equal(t, []string{
		lib + "/service.d/05.conf",
		run + "/foo-bar@.service.d/10.conf",
		etc + "/foo-.service.d/20.conf",
		lib + "/foo-bar@.service.d/30.conf",
		lib + "/foo-bar@.service.d/40.conf",
		etc + "/alias-x@x.service.d/50.conf",
		etc + "/foo-bar@.service.d/60.conf",
		etc + "/foo-bar@.service.d/70.conf",
		etc + "/foo-bar@x.service.d/90.conf",
	}, s.DropIns)
	require.Len(t, s.Diags, 2, "a loop and a directory: %v", s.Diags)
	require.Equal(t, s, l.Load("alias-x@x.service"), "a Spec does not depend on the name that was asked for")
}

// deps lists "Relation:name" of all dependencies.
func deps(s *unit.Spec) string {
	var out []string
	for _, d := range s.Deps {
		out = append(out, d.Rel.String()+":"+string(d.Unit)+d.Path)
	}
	return strings.Join(out, " ")
}

func TestLinks(t *testing.T) {
	l := newLoader(map[string]string{
		lib + "/a@.service":                            simple,
		lib + "/a@x.service.wants/one.service":         "-> ../nothing",
		lib + "/a@.service.wants/two@.service":         "-> ../two@.service",
		lib + "/a@.service.wants/invalid":              "-> x",
		lib + "/a@.service.wants/regular.target":       "text",
		lib + "/a@.service.wants/.hidden.target":       "-> x",
		lib + "/a@.service.wants/dir.target/x":         "",
		etc + "/a@x.service.wants/up.target":           "-> /dev/null",
		lib + "/a@x.service.wants/up.target":           "-> x",
		etc + "/a@x.service.wants/down.target":         "-> x",
		lib + "/a@x.service.wants/down.target":         "-> /dev/null",
		lib + "/a@x.service.wants/empty.target":        "",
		lib + "/a@.service.requires/r.service":         "-> x",
		lib + "/a@.service.upholds/u.service":          "-> x",
		lib + "/service.wants/all.target":              "-> x",
		lib + "/a@x.service.requires/a@x.service":      "-> x",
		lib + "/a@x.service.wants/linkedempty.service": "-> ../zero",
		lib + "/zero": "",
		lib + "/a@x.service.wants/foo.service.dpkg-old": "-> x",
	})
	s := l.Load("a@x.service")
	require.Equal(t, unit.LoadLoaded, s.Load)
	require.Equal(t, "Wants:all.target Wants:down.target Wants:one.service Wants:two@x.service Requires:r.service", deps(s))
	require.Equal(t, unit.Pos{File: lib + "/a@x.service.wants/one.service"}, s.Deps[2].Pos)
	require.Len(t, s.Diags, 4, "invalid name, regular file, directory, itself: %v", s.Diags)
}
