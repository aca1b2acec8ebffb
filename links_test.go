package sysmaster_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the lists of what each example links")

// mains are the folders below examples that hold a program, without the machine test's tools.
func mains(t *testing.T) []string {
	t.Helper()
	var out []string
	seen := map[string]bool{}
	_, all := sources(t)
	for _, s := range all {
		if s.file.Name.Name == "main" && isExample(s.dir) && !s.test && !seen[s.dir] && !within(s.dir, []string{"examples/sysmaster/vmtest/..."}) {
			seen[s.dir] = true
			out = append(out, s.dir)
		}
	}
	if len(out) == 0 {
		t.Fatal("there is no example")
	}
	return out
}

// goTool runs the go command for the reference platform.
func goTool(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// TestLinkedPackages compares the packages that each example links, of this module and of
// others, with its deps.txt: what a program carries changes on purpose only.
func TestLinkedPackages(t *testing.T) {
	for _, dir := range mains(t) {
		out := goTool(t, "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./"+dir)
		var list []string
		for _, p := range strings.Fields(out) {
			if p != module+"/"+dir {
				list = append(list, p)
			}
		}
		got := strings.Join(list, "\n") + "\n"
		file := filepath.Join(filepath.FromSlash(dir), "deps.txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%v; write it with: go test -run TestLinkedPackages . -update", err)
			continue
		}
		for _, line := range difference(string(want), got) {
			t.Errorf("%s: %s (if that is meant: go test -run TestLinkedPackages . -update)", dir, line)
		}
	}
}

// difference lists the lines that one of two texts has and the other has not.
func difference(want, got string) []string {
	in := func(text string) map[string]bool {
		m := map[string]bool{}
		for _, l := range strings.Fields(text) {
			m[l] = true
		}
		return m
	}
	w, g := in(want), in(got)
	var out []string
	for _, l := range sorted(g) {
		if !w[l] {
			out = append(out, "links "+l+", which is not in deps.txt")
		}
	}
	for _, l := range sorted(w) {
		if !g[l] {
			out = append(out, "does not link "+l+" any more")
		}
	}
	return out
}

// TestSizeBudgets builds each example as it is shipped and compares its size with its
// budget.txt, in bytes.
func TestSizeBudgets(t *testing.T) {
	if testing.Short() {
		t.Skip("builds every example")
	}
	tmp := t.TempDir()
	for i, dir := range mains(t) {
		bin := filepath.Join(tmp, strconv.Itoa(i))
		goTool(t, "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "./"+dir)
		info, err := os.Stat(bin)
		if err != nil {
			t.Fatal(err)
		}
		budget, err := readBudget(filepath.Join(filepath.FromSlash(dir), "budget.txt"))
		if err != nil {
			t.Errorf("%s has %d bytes and no budget: %v", dir, info.Size(), err)
			continue
		}
		t.Logf("%-32s %8d bytes, %3d %% of its budget", dir, info.Size(), 100*info.Size()/budget)
		if info.Size() > budget {
			t.Errorf("%s has %d bytes; its budget is %d", dir, info.Size(), budget)
		}
	}
}

func readBudget(file string) (int64, error) {
	data, err := fs.ReadFile(os.DirFS("."), filepath.ToSlash(file))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("cannot read %s: it is not a number of bytes", file)
	}
	return n, nil
}
