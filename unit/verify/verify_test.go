package verify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/service"
	"github.com/sysmaster-go/sysmaster/unit/slice"
	"github.com/sysmaster-go/sysmaster/unit/socket"
	"github.com/sysmaster-go/sysmaster/unit/target"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
	"github.com/sysmaster-go/sysmaster/unit/verify"
)

func types() map[unit.Kind]*unit.Type {
	all := make(map[unit.Kind]*unit.Type)
	for _, t := range []unit.Type{service.Type(service.Options{}), socket.Type(), target.Type(), slice.Type()} {
		all[t.Kind] = &t
	}
	return all
}

// config has the files in /u.
func config(files map[string]string, names ...unit.Name) verify.Config {
	tree := fstest.MapFS{}
	for name, text := range files {
		tree["u/"+name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	all := types()
	return verify.Config{Types: all, Names: names, Loader: unitfile.NewLoader(unitfile.Config{
		FS: tree, Dirs: []string{"/u"}, Facts: unitfile.SystemFacts(), Types: all,
	})}
}

func lines(r *verify.Report) []string {
	var b bytes.Buffer
	if err := r.Text(&b); err != nil {
		return []string{err.Error()}
	}
	return strings.FieldsFunc(b.String(), func(r rune) bool { return r == '\n' })
}

const plain = "[Service]\nExecStart=/bin/true\n"

func TestCheck(t *testing.T) {
	stat := func(path string) (verify.Kind, error) {
		switch path {
		case "/bin/true", "/usr/bin/bare":
			return verify.Executable, nil
		case "/etc/passwd":
			return verify.OtherFile, nil
		case "/etc":
			return verify.Directory, nil
		}
		return 0, fs.ErrNotExist
	}
	for name, tc := range map[string]struct {
		files map[string]string
		whole bool
		want  []string
	}{
		"nothing": {files: map[string]string{"a.service": plain, "b.target": "[Unit]\nRequires=a.service\nAfter=a.service\n"}},
		"typos": {files: map[string]string{"a.service": "[Unit]\nWnats=b.service\n[Servce]\n[Service]\nExecStart=/bin/true\nRestart=alwys\n"}, want: []string{
			"/u/a.service:2: unknown key Wnats in section [Unit] is ignored (did you mean Wants=?) [warning, unit-file]",
			"/u/a.service:3: unknown section [Servce] is ignored (did you mean [Service]?) [warning, unit-file]",
			`/u/a.service:6: Service.Restart: "alwys" is not valid (valid: no|on-success|on-failure|on-abnormal|on-watchdog|on-abort|always); the line is ignored [warning, unit-file]`,
		}},
		"combination": {files: map[string]string{"a.service": "[Service]\nType=oneshot\nRestart=always\nExecStart=/bin/true\n"}, want: []string{
			"/u/a.service: cannot load a.service: Restart=always and on-success do not go with Type=oneshot [error, not-loaded]",
		}},
		"value": {files: map[string]string{"a.service": "[Service]\nExecStart=x/y\n"}, want: []string{
			"/u/a.service:2: Service.ExecStart: executable \"x/y\" is neither an absolute path nor a plain name [error, unit-file]",
		}},
		"refused": {files: map[string]string{"a.service": plain + "ProtectSystem=no\nProtectSystem=strict\n", "b.socket": "[Socket]\nListenStream=/x\nAccept=yes\n"}, want: []string{
			"/u/a.service:4: Service.ProtectSystem: ProtectSystem=strict is not implemented, and the unit does not start without it (valid: to leave it out, or the manager's option allow-degraded) [error, not-implemented]",
			"/u/b.socket:3: Socket.Accept: Accept=yes is not implemented, and the unit does not start without it (valid: to leave it out, or the manager's option allow-degraded) [error, not-implemented]",
		}},
		"hermetic": {files: map[string]string{"a.service": "[Unit]\nRequires=postgres.service\n" + plain}},
		"whole": {whole: true, files: map[string]string{
			"a.service":          "[Unit]\nRequires=postgrsql.service x.mount\nWants=absent.service\nAfter=nothing.service\nOnFailure=mail@%n.service\nDefaultDependencies=no\n[Service]\nExecStart=/bin/flase\nExecStart=\nExecStart=bare\nExecStop=-/etc/passwd\nExecReload=/etc\nExecStopPost=nowhere\n",
			"postgresql.service": "[Unit]\nDefaultDependencies=no\n" + plain, "system.slice": "[Unit]\nDefaultDependencies=no\n",
			"s.socket": "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/x\n",
		}, want: []string{
			"/u/a.service:2: Requires=postgrsql.service: there is no such unit (did you mean postgresql.service?) [error, missing-unit]",
			"/u/a.service:2: Requires=x.mount: there are no units of kind mount [error, not-implemented]",
			"/u/a.service:3: Wants=absent.service: there is no such unit [warning, missing-unit]",
			"/u/a.service:5: OnFailure=mail@a.service.service: there is no such unit [warning, missing-unit]",
			"/u/a.service:8: Service.ExecStart: cannot be executed: /bin/flase: file does not exist [error, missing-command]",
			"/u/a.service:11: Service.ExecStop: cannot be executed: /etc/passwd is not executable [warning, missing-command]",
			"/u/a.service:12: Service.ExecReload: cannot be executed: /etc is a directory [error, missing-command]",
			"/u/a.service:13: Service.ExecStopPost: cannot be executed: there is no nowhere in /usr/local/sbin, /usr/local/bin, /usr/sbin, /usr/bin, /sbin, /bin [error, missing-command]",
			"s.socket: Triggers=s.service: there is no such unit [error, missing-unit]",
		}},
		"worst": {whole: true, files: map[string]string{"a.target": "[Unit]\nDefaultDependencies=no\nWants=none.service x.mount\nRequires=none.service x.mount\n"}, want: []string{
			"/u/a.target:4: Requires=none.service: there is no such unit [error, missing-unit]",
			"/u/a.target:4: Requires=x.mount: there are no units of kind mount [error, not-implemented]",
		}},
		"elsewhere": {whole: true, files: map[string]string{
			"a@.service": "[Unit]\nDefaultDependencies=no\nWants=b-%i.target none.target\n[Service]\nExecStart=/opt/%i\nExecStop=/opt/none\n",
			"b.service":  "[Unit]\nDefaultDependencies=no\n[Service]\nRootDirectory=/x\nExecStart=/none\n", "system.slice": "[Unit]\nDefaultDependencies=no\n",
			"c.service": "[Unit]\nDefaultDependencies=no\n[Service]\nExecSearchPath=/x:/usr/bin\nExecStart=bare\nExecStop=none\n",
		}, want: []string{
			"/u/a@.service:3: Wants=none.target: there is no such unit [warning, missing-unit]",
			"/u/a@.service:6: Service.ExecStop: cannot be executed: /opt/none: file does not exist [error, missing-command]",
			"/u/c.service:6: Service.ExecStop: cannot be executed: there is no none in /x, /usr/bin [error, missing-command]",
		}},
		"upheld": {files: map[string]string{"a.target": "[Unit]\nUpholds=b.target\nAfter=b.target\n", "b.target": "[Unit]\nAfter=a.target\n"}, want: []string{
			"/u/b.target:2: ordering cycle: a.target before b.target (/u/b.target:2) before a.target (/u/a.target:3) [error, ordering-cycle]",
		}},
		"terminal": {files: map[string]string{"a.target": "[Unit]\nW\x1b[31m=\n"}, want: []string{
			`/u/a.target:2: unknown key W\x1b[31m in section [Unit] is ignored (valid: the keys of this section, or one that begins with X-) [warning, unit-file]`,
		}},
		"cycle": {files: map[string]string{
			"a.service": "[Unit]\nRequires=b.service\nAfter=c.service\n" + plain, "b.service": "[Unit]\nWants=c.service\nAfter=a.service\n" + plain,
			"c.service": "[Unit]\nBefore=innocent.service\n\nAfter=b.service\n" + plain, "innocent.service": plain,
		}, want: []string{
			"/u/b.service:3: ordering cycle: a.service before b.service (/u/b.service:3) before c.service (/u/c.service:4) before a.service (/u/a.service:3) [error, ordering-cycle]",
		}},
		"apart": {files: map[string]string{ // never started together
			"a.service": "[Unit]\nAfter=b.service\n" + plain, "b.service": "[Unit]\nAfter=a.service\n" + plain,
		}},
		"members": {files: map[string]string{ // a target is after what it wants
			"t.target": "[Unit]\nWants=a.service b.service\n", "a.service": "[Unit]\nWants=u.target\nAfter=u.target\n" + plain,
			"u.target": "[Unit]\nAfter=t.target\n", "b.service": "[Unit]\nAfter=t.target\n" + plain, // that is no cycle: it takes the member out
		}, want: []string{
			"/u/t.target:2: ordering cycle: a.service before t.target (/u/t.target:2) before u.target (/u/u.target:2) before a.service (/u/a.service:3) [error, ordering-cycle]",
		}},
		"template": {files: map[string]string{"a@.service": "[Service]\nExecStart=/bin/true %i\nFoo=1\n"}, want: []string{
			"/u/a@.service:3: unknown key Foo in section [Service] is ignored (valid: the keys of this section, or one that begins with X-) [warning, unit-file]",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(tc.files)
			if tc.whole {
				c.Whole, c.Stat = true, stat
			}
			got := lines(verify.Check(c))
			if tc.whole { // sysinit.target and the like are not there either, by default dependencies
				got = slices.DeleteFunc(got, func(s string) bool { return strings.Contains(s, "-.slice") })
			}
			require.Equal(t, strings.Join(tc.want, "\n"), strings.Join(got, "\n"))
		})
	}
}

func TestNamesThatAreNotThere(t *testing.T) {
	r := verify.Check(config(map[string]string{"a.service": plain}, "a.service", "b.service", "no name", "c.timer"))
	require.Equal(t, []string{
		"b.service: unit b.service not found [error, not-loaded]",
		"no name: invalid unit name [error, unit-file]",
		"c.timer: unsupported type [error, unit-file]",
	}, lines(r))
	require.Equal(t, 3, r.Errors())
	require.Len(t, r.Units, 4)
}

// TestRings compares with the definition: units are in a ring if each can be reached from the other.
func TestRings(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 2 + rng.IntN(7)
		var reach [9][9]bool
		files := map[string]string{"all.target": "[Unit]\nDefaultDependencies=no\n"}
		for i := range n {
			text := "[Unit]\nDefaultDependencies=no\n"
			for j := range n {
				if i != j && rng.IntN(n) == 0 {
					text += fmt.Sprintf("Before=u%d.target\n", j)
					reach[i][j] = true
				}
			}
			files[fmt.Sprintf("u%d.target", i)] = text
			files["all.target"] += fmt.Sprintf("Wants=u%d.target\n", i)
		}
		for k := range n {
			for i := range n {
				for j := range n {
					reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
				}
			}
		}
		guilty := map[unit.Name]bool{}
		rings := map[int]bool{} // by the first unit
		for i := range n {
			for j := n - 1; j >= 0; j-- {
				if i != j && reach[i][j] && reach[j][i] {
					guilty[unit.Name(fmt.Sprintf("u%d.target", i))] = true
					if !slices.ContainsFunc([]int{0, 1, 2, 3, 4, 5, 6, 7, 8}[:i], func(h int) bool { return reach[h][i] && reach[i][h] }) {
						rings[i] = true
					}
				}
			}
		}
		r := verify.Check(config(files, "all.target"))
		require.Len(t, r.Problems, len(rings), files)
		for _, p := range r.Problems {
			require.Equal(t, verify.RuleCycle, p.Rule)
			require.Equal(t, p.Unit, p.Related[len(p.Related)-1].Unit)
			at := p.Unit // the way is one: each edge is written down where it says
			for _, next := range p.Related {
				require.True(t, guilty[next.Unit], files)
				require.Equal(t, "/u/"+string(at), next.Pos.File)
				require.Contains(t, files[string(at)], "Before="+string(next.Unit)+"\n")
				at = next.Unit
			}
		}
	}
}

// TestHostile: what is huge costs itself, and time in proportion.
func TestHostile(t *testing.T) {
	files := map[string]string{}
	const n = 10_000
	for i := range n {
		files[fmt.Sprintf("u%d.target", i)] = fmt.Sprintf("[Unit]\nDefaultDependencies=no\nRequires=u%d.target\nAfter=u%d.target\n", (i+1)%n, (i+1)%n)
	}
	r := verify.Check(config(files, "u0.target"))
	require.Len(t, r.Problems, 1)
	require.Less(t, len(r.Problems[0].Text), 10_000)
	r = verify.Check(config(files)) // 100 million steps if each were walked through
	require.Len(t, r.Problems, 1)

	for i := range n {
		files[fmt.Sprintf("u%d.target", i)] = fmt.Sprintf("[Unit]\nDefaultDependencies=no\nWants=missing-%d.target\n", i)
	}
	c := config(files) // as many if each name were compared with each
	c.Whole = true
	require.Len(t, verify.Check(c).Problems, n)

	r = verify.Check(config(map[string]string{
		"long.service": plain + "Environment=A=" + strings.Repeat("x", 10<<20) + "\n", "ok.service": plain,
		"zero.service": "\x00\xff[", "many.service": plain + strings.Repeat("Fo=1\n", 100_000),
	}))
	require.NotEmpty(t, r.Problems)
	require.Less(t, len(r.Problems), 110)
	for _, p := range r.Problems {
		require.NotEqual(t, unit.Name("ok.service"), p.Unit)
		require.Less(t, len(p.String()), 10_000)
	}
}

func TestFormats(t *testing.T) {
	r := verify.Check(config(map[string]string{
		"a b.service": "", "a.service": "[Unit]\nAfter=b.service\nWants=b.service\nWnats=1\n" + plain, "b.service": "[Unit]\nAfter=a.service\n" + plain,
	}, "a.service", "x.service"))
	var b bytes.Buffer
	require.NoError(t, r.JSON(&b))
	var j struct {
		Units    []string
		Problems []struct {
			Rule, Severity, Unit, File, Key, Text string
			Line                                  int
			Related                               []struct {
				Unit, File string
				Line       int
			}
		}
	}
	require.NoError(t, json.Unmarshal(b.Bytes(), &j))
	require.Equal(t, []string{"a.service", "x.service"}, j.Units)
	require.Len(t, j.Problems, 3)
	require.Equal(t, "unit-file", j.Problems[0].Rule)
	require.Equal(t, 4, j.Problems[0].Line)
	require.Equal(t, "b.service", j.Problems[2].Related[0].Unit)

	b.Reset()
	require.NoError(t, r.SARIF(&b, "1.2"))
	var s struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name, Version string
					Rules         []struct{ ID string }
				}
			}
			Results []struct {
				RuleID, Level string
				Message       struct{ Text string }
				Locations     []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine int }
					}
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(b.Bytes(), &s))
	require.Equal(t, "2.1.0", s.Version)
	require.Len(t, s.Runs[0].Tool.Driver.Rules, len(verify.Rules()))
	require.Len(t, s.Runs[0].Results, 3)
	require.Equal(t, "/u/a.service", s.Runs[0].Results[0].Locations[0].PhysicalLocation.ArtifactLocation.URI)
	require.Equal(t, "error", s.Runs[0].Results[1].Level)

	require.Error(t, r.Text(broken{}))
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }
