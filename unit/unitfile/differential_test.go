package unitfile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/unit"
)

// dump is what both sides say of one unit, comparable.
type dump struct {
	Name, State, Fragment, Description string
	DropIns, Deps                      []string

	all []string // Deps with what the kind implies
}

// ask has the real systemd load a unit from dirs and reads its debug output.
func ask(tool string, dirs []string, name string) dump {
	cmd := exec.Command(tool, "--man=no", "--generators=no", "verify", "--", name)
	cmd.Env = append(os.Environ(), "SYSTEMD_LOG_LEVEL=debug", "LC_ALL=C",
		"SYSTEMD_UNIT_PATH="+strings.Join(dirs, ":"))
	out, _ := cmd.CombinedOutput() // its exit status tells of dependencies that the test leaves out
	d := dump{State: "other"}
	inside := false
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.Contains(line, "-> Unit "):
			_, rest, _ := strings.Cut(line, "-> Unit ")
			n := strings.TrimSuffix(rest, ":")
			// The unit in question is the one that was asked for, or has it as alias.
			inside = d.Name == ""
			if inside {
				d.Name = n
			}
		case !inside || !strings.HasPrefix(line, "\t\t"):
			for text, state := range map[string]string{
				" not found": "not-found", " is masked": "masked", " has a bad unit file setting": "bad-setting", " failed to load": "error",
			} {
				if strings.Contains(line, "Unit "+name+text) {
					d.State = state
				}
			}
		default:
			key, value, _ := strings.Cut(strings.TrimLeft(line, "\t"), ": ")
			switch key {
			case "Unit Load State":
				d.State = value
			case "Description":
				d.Description = value
			case "Fragment Path":
				d.Fragment = value
			case "DropIn Path":
				d.DropIns = append(d.DropIns, value)
			case "Wants", "Requires", "After", "OnFailure":
				// The slice counts as from a file, too, but belongs to the kind.
				n, origin, _ := strings.Cut(value, " ")
				if origin == "(origin-file)" && !strings.HasSuffix(n, ".slice") {
					d.Deps = append(d.Deps, key+":"+n)
				}
				d.all = append(d.all, key+":"+n)
			}
		}
	}
	slices.Sort(d.Deps)
	return d
}

func ours(l *Loader, name string) dump {
	s := l.Load(unit.Name(name))
	d := dump{Name: string(s.Name), State: string(s.Load), Fragment: s.FragmentPath, DropIns: s.DropIns, Description: string(s.Name)}
	if s.Load != unit.LoadLoaded {
		return dump{State: string(s.Load)}
	}
	for _, st := range s.Settings {
		if st.Key == "Description" && st.Value != "" {
			d.Description = st.Value
		}
	}
	for _, dep := range s.Deps {
		d.Deps = append(d.Deps, dep.Rel.String()+":"+string(dep.Unit))
	}
	slices.Sort(d.Deps)
	return d
}

// plant writes a tree below root; "-> x" is a link to x, with @ standing for root.
func plant(t *testing.T, root string, tree map[string]string) {
	for p, text := range tree {
		p = filepath.Join(root, p)
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			require.NoError(t, os.Symlink(strings.ReplaceAll(target, "@", root), p))
		} else {
			require.NoError(t, os.WriteFile(p, []byte(text), 0o644))
		}
	}
}

func described(text string) string { return "[Unit]\nDescription=" + text + "\n" + simple }

// TestAgainstSystemd loads the same trees with systemd-analyze and with Loader. The
// service's own section is reduced to what the test type knows.
func TestAgainstSystemd(t *testing.T) {
	tool := analyze(t)
	root := t.TempDir()
	tree := map[string]string{
		"b/sysinit.target": "[Unit]\nDefaultDependencies=no\n", "b/basic.target": "[Unit]\nDefaultDependencies=no\n",
		"b/shutdown.target": "[Unit]\nDefaultDependencies=no\n", "b/x.target": "[Unit]\nDefaultDependencies=no\n",
		"b/y.target": "[Unit]\nDefaultDependencies=no\n", "a/empty": "",

		"b/real.service": simple, "b/al1.service": "-> real.service", "b/al2.service": "-> al1.service", "b/self.service": "-> self.service",
		"b/dangling.service": "-> none.service", "b/pi.service": "-> real@x.service", "out/t.service": simple, "b/linked.service": "-> @/out/t.service",
		"b/gone.service": "-> @/out/gone.service", "a/masked.service": "-> /dev/null", "b/masked.service": simple, "b/empty.service": "",
		"a/both.service": described("a"), "b/both.service": described("b"), "b/dir.service/x": "",

		"b/t@.service": described("%i of %p, %I, %j"), "b/t@own.service": described("own"), "b/tal@.service": "-> t@.service",
		"b/t@.service.d/1.conf": "[Unit]\nWants=x.target\n", "b/t@q.service.d/2.conf": "[Unit]\nAfter=y.target\n", "b/tal@.service.d/3.conf": "[Unit]\nAfter=x.target\n",
		"b/t@.service.wants/y.target": "-> ../y.target", "b/t@.service.requires/x.target": "-> ../x.target",

		"b/n-a-b.service": simple, "a/n-.service.d/1.conf": "[Unit]\nDescription=etc prefix\n", "b/n-a-b.service.d/1.conf": "[Unit]\nDescription=lib own\n",
		"a/service.d/2.conf": "[Unit]\nWants=y.target\n", "b/n-a-.service.d/2.conf": "[Unit]\nWants=x.target\n", "a/n-a-b.service.d/3.conf": "-> /dev/null",
		"b/n-a-b.service.d/3.conf": "[Unit]\nDescription=masked\n", "b/-x-y.service": simple, "b/-.service.d/9.conf": "[Unit]\nDescription=dash\n", "b/-x-.service.d/8.conf": "[Unit]\nWants=x.target\n",

		"b/dep1.service": "[Unit]\nWants=x.target \"y.target\" %p.target bad! y.target\nAfter=\nAfter=%n x.target\n" + simple,
		"b/dep2.service": "[Unit]\nWants=t@.service\nOnFailure=t@%n.service\n" + simple,

		"b/broken.service": "[Unit\n" + simple, "b/utf.service": "[Unit]\nDescription=\xff\n" + simple, "b/utfc.service": "# \xff\n" + described("ok"),
		"b/bom.service": "\uFEFF" + described("bom"), "b/crlf.service": strings.ReplaceAll(described("crlf"), "\n", "\r\n"),
		"b/badspec.service": "[Service]\nExecStart=/bin/true %Q\n", "b/tolspec.service": "[Service]\nExecStart=/bin/true\nExecStart=-/bin/true %Q\n",
		"b/drop.service": simple, "b/drop.service.d/1.conf": "[Unit]\nDescription=one\n[Service]\nExecStart=rel/x\n[Unit]\nDescription=two\n", "b/drop.service.d/2.conf": "[Unit\nDescription=three\n", "b/lonely.service.d/1.conf": described("x"),
		"b/kindof.service": "-> real.target", "b/inst@z.service": "-> t@z.service", "b/inst2@z.service": "-> t@.service", "b/inst3@z.service": "-> t@w.service", "b/tt@.service": "-> real.service",
	}
	for i, value := range []string{
		`a \\`, "a\\\n  b", "a\\\n# c\n b", "a\\\n\nAfter=x.target", "a\\ \nAfter=x.target", `"a b" 'c'`, `a\tb`, `%% %`, `%n|%N|%p|%P|%i|%I|%j|%J|%f`,
		`%t %S %C %L %E %T %V`, `%H %l %m %b %v %a`, `%o %w [%W%B%M%A]`, `%u %U %g %G %h`, `%c`, `%y %Y`, `%d`, `%Q`, `%`, `%1`, `%é`, "", "a\x00After=x.target", "  a  ", `a=b`, `x # y`, `[%r|%R]`, `%r`, `%R`, `%s`, `%q`,
	} {
		tree[fmt.Sprintf("b/line-%d.service", i)] = described(value)
	}
	plant(t, root, tree)

	dirs := []string{filepath.Join(root, "a"), filepath.Join(root, "b")}
	l := NewLoader(Config{FS: os.DirFS("/"), Dirs: dirs, Facts: ReadFacts(os.DirFS("/")), Types: testTypes()})
	names := []string{"t@q.service", "tal@q.service", "t@own.service", `t@a\x2db-c.service`, "none.service", "lonely.service", "tt@z.service"}
	for p := range tree {
		dir, n := filepath.Split(p)
		if (dir == "a/" || dir == "b/") && strings.HasSuffix(n, ".service") && !unit.Name(n).IsTemplate() {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		compare(t, tool, dirs, l, name)
	}
}

func analyze(t *testing.T) string {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: nothing to compare with")
	}
	if out, err := exec.Command(tool, "--version").Output(); err != nil || !strings.HasPrefix(string(out), "systemd 252") {
		t.Skip("systemd-analyze is not of systemd 252, which is what the loader follows")
	}
	return tool
}

func compare(t *testing.T, tool string, dirs []string, l *Loader, name string) {
	want, got := ask(tool, dirs, name), ours(l, name)
	want.all = nil
	if want.Name == "" { // it prints nothing of a unit that is not loaded
		want = dump{State: want.State}
	}
	if w, g := fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got); w != g {
		t.Errorf("Load(%s) =\n%s; systemd has\n%s", name, g, w)
	}
}

// compareFiles leaves out dependencies that only systemd has: it counts many that follow
// from a kind's settings as written in the file.
func compareFiles(t *testing.T, tool string, dirs []string, l *Loader, name string) (deps int) {
	want, got := ask(tool, dirs, name), ours(l, name)
	if want.Name == "" {
		want = dump{State: want.State}
	}
	for _, d := range got.Deps {
		kind, to, _ := strings.Cut(d, ":")
		if canonical, ok := l.current().follow(unit.Name(to)); ok {
			d = kind + ":" + string(canonical) // systemd shows those
		}
		switch kind {
		case "Wants", "Requires", "After", "OnFailure":
			deps++
			if !slices.Contains(want.all, d) {
				t.Errorf("Load(%s) has %s; systemd has not", name, d)
			}
		}
	}
	want.Deps, want.all, got.Deps = nil, nil, nil
	if w, g := fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got); w != g {
		t.Errorf("Load(%s) =\n%s; systemd has\n%s", name, g, w)
	}
	return deps
}

// TestInstalledUnitsAgainstSystemd compares what this machine's packages ship.
func TestInstalledUnitsAgainstSystemd(t *testing.T) {
	tool := analyze(t)
	dirs := []string{"/etc/systemd/system", "/usr/lib/systemd/system"}
	l := NewLoader(Config{FS: os.DirFS("/"), Dirs: dirs, Facts: ReadFacts(os.DirFS("/")), Types: testTypes()})
	names := l.Names()
	if len(names) == 0 {
		t.Skip("no unit files are installed: nothing to compare")
	}
	deps := 0
	for _, n := range names {
		if n.IsTemplate() {
			n = n.WithInstance("tty1")
		}
		deps += compareFiles(t, tool, dirs, l, string(n))
	}
	t.Logf("%d names and %d dependencies compared", len(names), deps)
}
