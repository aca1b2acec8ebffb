package sysmaster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// commands are the lines of the sh blocks of README.md and docs, without comments.
func commands(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, file := range append(files, "README.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		inside := false
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "```"):
				inside = line == "```sh"
			case inside:
				command, _, _ := strings.Cut(line, " #")
				if command = strings.TrimSpace(command); command != "" && command[0] != '#' {
					out[file] = append(out[file], command)
				}
			}
		}
	}
	return out
}

// TestDocumentedCommands: what the pages tell a newcomer to type exists.
func TestDocumentedCommands(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for file, list := range commands(t) {
		for _, c := range list {
			n++
			if why := wrongCommand(c, string(makefile)); why != "" {
				t.Errorf("%s: %s: %s", file, c, why)
			}
		}
	}
	if n == 0 {
		t.Error("no page shows a command")
	}
}

func wrongCommand(c, makefile string) string {
	words := strings.Fields(c)
	switch {
	case words[0] == "make" && len(words) > 1:
		for _, target := range words[1:] {
			if !strings.Contains(target, "=") && !strings.Contains(makefile, "\n"+target+":") {
				return "the Makefile has no target " + target
			}
		}
		return ""
	case words[0] == "go" && len(words) > 1:
		for _, w := range words[2:] {
			if dir, ok := strings.CutPrefix(w, "./"); ok {
				if _, err := os.Stat(strings.TrimSuffix(dir, "/...")); err != nil {
					return err.Error()
				}
			}
		}
		for i, w := range words {
			if w == "-run" && i+1 < len(words) && !hasTest(words[i+1]) {
				return "there is no test " + words[i+1]
			}
		}
		return ""
	case strings.HasPrefix(words[0], "bin/"):
		if !strings.Contains(makefile, "-o "+words[0]+" ") {
			return "the Makefile does not build it"
		}
		return ""
	}
	return "neither make, nor go, nor a program that make builds"
}

func hasTest(name string) bool {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		return false
	}
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil && strings.Contains(string(data), "\nfunc "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}

// TestMakeHelp: every target explains itself, and help lists it.
func TestMakeHelp(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("there is no make")
	}
	out, err := exec.Command("make", "-s", "help").CombinedOutput()
	if err != nil {
		t.Fatalf("make help: %v\n%s", err, out)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(string(makefile), -1) {
		if !strings.Contains(string(out), "make "+m[1]+" ") {
			t.Errorf("make help does not list %s", m[1])
		}
		if plan, err := exec.Command("make", "-s", "-n", m[1]).CombinedOutput(); err != nil {
			t.Errorf("make -n %s: %v\n%s", m[1], err, plan)
		}
	}
}

// TestLinks: what the pages name in this tree is there.
func TestLinks(t *testing.T) {
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:unit|core|init|state|cgroup|examples|docs)/[a-z0-9_./-]+|[a-z]+_test\\.go)`")
	linked := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for _, file := range append(files, "README.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(data), -1) {
			if _, err := os.Stat(m[1]); err != nil {
				t.Errorf("%s names %s: %v", file, m[1], err)
			}
		}
		for _, m := range linked.FindAllStringSubmatch(string(data), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			}
		}
	}
}
