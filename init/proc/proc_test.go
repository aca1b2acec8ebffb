package proc

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

func TestParseStat(t *testing.T) {
	const tail = " 1 77 55 0 -1 4194560 100 0 0 0 1 2 3 4 20 0 1 0 987654 0 0\n"
	want := Stat{State: 'Z', PPID: 1, Session: 55, Flags: 4194560, StartTime: 987654}
	for _, name := range []string{"(sh)", "()", "(a) Z 9 9)", "(\n)", "(((", "(x) 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22)"} {
		if name == "(((" {
			name += ")"
		}
		got, ok := ParseStat([]byte("12 " + name + " Z" + tail))
		if !ok || got != want {
			t.Errorf("ParseStat with name %q = %+v, %v; want %+v", name, got, ok, want)
		}
	}
	for _, bad := range []string{"", "12 (sh", "12 (sh)", "12 (sh) Z 1 2", "12 (sh) Z x 77 55 0 -1 4194560 100 0 0 0 1 2 3 4 20 0 1 0 987654"} {
		if _, ok := ParseStat([]byte(bad)); ok {
			t.Errorf("ParseStat(%q) succeeded", bad)
		}
	}
}

func TestParseCgroup(t *testing.T) {
	for in, want := range map[string]string{
		"0::/system.slice/a.service\n":          "/system.slice/a.service",
		"0::/a (deleted)\n":                     "/a",
		"12:pids:/x\n1:name=systemd:/y\n0::/\n": "/y",
		"1:name=systemd:/y\n0::/z\n":            "/z",
		"0::/\n":                                "/",
		"0::/no/newline":                        "/no/newline",
		"":                                      "",
		"garbage":                               "",
		"4:memory:/m\n":                         "",
		"5:memory:/a:name=systemd:/b\n0::/\n":   "/",
		"0:x:/a\n":                              "",
		"1:name=systemd:/user.slice\n0::/system.slice:0::/b\n\n": "/system.slice:0::/b",
	} {
		if got := string(ParseCgroup([]byte(in))); got != want {
			t.Errorf("ParseCgroup(%q) = %q; want %q", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("1 (a) S 1 1 1 0 -1 4194560 100 0 0 0 1 2 3 4 20 0 1 0 9"))
	f.Add([]byte("0::/x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ParseStat(b)
		if len(ParseCgroup(b)) > len(b) {
			t.Fatal("longer than its input")
		}
	})
}

func TestDescendantsFindsGrandchild(t *testing.T) {
	cmd := exec.Command("sh", "-c", "cat & echo; wait")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	below, err := Descendants(os.Getpid())
	if err != nil || len(below) < 1 || !slices.Contains(below, cmd.Process.Pid) {
		t.Errorf("Descendants = %v, %v; want %d among them", below, err, cmd.Process.Pid)
	}
	s, ok := ReadStat(cmd.Process.Pid, make([]byte, 1024))
	if !ok || s.PPID != os.Getpid() || s.StartTime == 0 || s.KernelThread() {
		t.Errorf("ReadStat(child) = %+v, %v", s, ok)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestParseOOMKills(t *testing.T) {
	for in, want := range map[string]int{
		"low 0\nhigh 0\nmax 4\noom 2\noom_kill 3\noom_group_kill 0\n": 3,
		"oom_kill 7": 7, "": -1, "oom_kill x\n": -1, "oom_kills 3\n": -1,
	} {
		got, ok := ParseOOMKills([]byte(in))
		if ok != (want >= 0) || ok && got != uint64(want) {
			t.Errorf("ParseOOMKills(%q) = %d, %v; want %d", in, got, ok, want)
		}
	}
}
