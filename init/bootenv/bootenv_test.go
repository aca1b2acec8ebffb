package bootenv

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseCmdline(t *testing.T) {
	for in, want := range map[string]Cmdline{
		"":                      nil,
		" \n":                   nil,
		"quiet root=/dev/vda\n": {{"quiet", "", false}, {"root", "/dev/vda", true}},
		`a="b c" "d e"=f`:       {{"a", "b c", true}, {"d e", "f", true}},
		`"a=b c" x`:             {{"a", "b c", true}, {"x", "", false}},
		`a="never closed b`:     {{"a", "never closed b", true}},
		"a= b==c":               {{"a", "", true}, {"b", "=c", true}},
		`"" ""`:                 {{"", "", false}, {"", "", false}},
	} {
		if got := ParseCmdline(in); !reflect.DeepEqual(got, want) {
			t.Errorf("ParseCmdline(%q) = %+v; want %+v", in, got, want)
		}
	}
	if got := len(ParseCmdline(strings.Repeat("x ", 1<<20))); got != MaxWords {
		t.Errorf("%d words of a 2 MiB line; want %d", got, MaxWords)
	}
}

func TestGetAndBool(t *testing.T) {
	c := ParseCmdline("a=1 a=2 sysmaster.core-path=/x debug on=yes off=0 flip=1 flip=no odd=maybe")
	if v, ok := c.Get("a"); v != "2" || !ok {
		t.Errorf("Get(a) = %q, %v; want the last value, 2", v, ok)
	}
	if v, ok := c.Get("sysmaster.core_path"); v != "/x" || !ok {
		t.Errorf("Get(sysmaster.core_path) = %q, %v; want /x", v, ok)
	}
	if _, ok := c.Get("none"); ok {
		t.Error("Get(none) found something")
	}
	for key, want := range map[string]bool{"debug": true, "on": true, "off": false, "flip": false, "odd": false, "none": false} {
		if got := c.Bool(key); got != want {
			t.Errorf("Bool(%s) = %v; want %v", key, got, want)
		}
	}
}

func FuzzParseCmdline(f *testing.F) {
	f.Add(`root=/dev/vda a="b c" quiet`)
	f.Add("\"")
	f.Fuzz(func(t *testing.T, line string) {
		c := ParseCmdline(line)
		if len(c) > MaxWords {
			t.Fatalf("%d words", len(c))
		}
		for _, p := range c {
			if strings.Contains(p.Key+p.Value, `"`) || strings.Contains(p.Key, "=") || !p.HasValue && p.Value != "" {
				t.Fatalf("ParseCmdline(%q) has %+v", line, p)
			}
			c.Bool(p.Key)
		}
	})
}

func TestContainer(t *testing.T) {
	for _, c := range []struct {
		name  string
		pid1  bool
		env   string
		files map[string]string
		want  string
	}{
		{"machine", true, "", nil, ""},
		{"environment", true, "lxc", nil, "lxc"},
		{"environment of a keeper says nothing", false, "lxc", nil, ""},
		{"systemd's file", true, "", map[string]string{"/run/systemd/container": "docker\n"}, "docker"},
		{"PID 1's environment", false, "", map[string]string{"/proc/1/environ": "A=b\x00container=podman\x00"}, "podman"},
		{"docker", true, "", map[string]string{"/.dockerenv": ""}, "docker"},
		{"podman", true, "", map[string]string{"/run/.containerenv": ""}, "podman"},
		{"unprintable", true, "a\x1b[2J", nil, "other"},
		{"long", true, strings.Repeat("x", 100), nil, "other"},
	} {
		got := container(c.pid1,
			func(string) string { return c.env },
			func(path string) string { return c.files[path] },
			func(path string) bool { _, ok := c.files[path]; return ok })
		if got != c.want {
			t.Errorf("%s: container() = %q; want %q", c.name, got, c.want)
		}
	}
}
