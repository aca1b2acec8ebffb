package sysmaster_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are README.md and docs, by name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, file := range append(files, "README.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[file] = string(data)
	}
	return out
}

var (
	inlineCode = regexp.MustCompile("`([^`]+)`")
	// A command in the text is told from other code by how it begins; "bin/" alone is a directory.
	inlineCommand = regexp.MustCompile(`^([A-Z][A-Z0-9_]*=\S* )*(make|go test|go run|go build) |^([A-Z][A-Z0-9_]*=\S* )*bin/[a-z]`)
)

// commands are the lines of a page's sh blocks, without comments, and the commands within its text and tables.
func commands(page string) (out []string) {
	block := ""
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			if block == "" {
				block = line
			} else {
				block = ""
			}
		case block == "```sh":
			command, _, _ := strings.Cut(line, " #")
			if command = strings.TrimSpace(command); command != "" && command[0] != '#' {
				out = append(out, command)
			}
		case block == "":
			for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
				if inlineCommand.MatchString(m[1]) {
					out = append(out, m[1])
				}
			}
		}
	}
	return out
}

// TestDocumentedCommands: what the pages tell a reader to type exists, with its targets, variables, flags and tests.
func TestDocumentedCommands(t *testing.T) {
	blocks, inline := 0, 0
	for file, page := range pages(t) {
		for _, c := range commands(page) {
			if strings.Contains(page, "`"+c+"`") {
				inline++
			} else {
				blocks++
			}
			if why := wrongCommand(c); why != "" {
				t.Errorf("%s: %s: %s", file, c, why)
			}
		}
		// Also where a comment or a sentence shows it without make.
		for _, m := range regexp.MustCompile(`\b(TORTURE|SIM_[A-Z]+|FUZZTIME|TESTFLAGS)=("[^"]*"|[^\s`+"`"+`]*)`).FindAllStringSubmatch(page, -1) {
			if why := wrongVariable(m[1], strings.Trim(m[2], `"`)); why != "" {
				t.Errorf("%s: %s: %s", file, m[0], why)
			}
		}
	}
	if blocks < 10 || inline < 10 {
		t.Errorf("found only %d commands in blocks and %d in the text", blocks, inline)
	}
}

// TestWrongCommands: what the check is to find, it finds.
func TestWrongCommands(t *testing.T) {
	page := "text `make nonsense` and `make`\n\n| a | `go test -run TestNothing ./core` |\n```go\nx := `make this`\n```\n```sh\nmake test # why\n```\n"
	if got := commands(page); !slices.Equal(got, []string{"make nonsense", "go test -run TestNothing ./core", "make test"}) {
		t.Errorf("commands of a page: %q", got)
	}
	for c, want := range map[string]string{
		"make nonsense":                                        "no target nonsense",
		"make sim SIM_SEDE=42":                                 "no variable SIM_SEDE",
		`make torture TORTURE="--round 9"`:                     "torture has no flag --round",
		"go test -run TestNothing ./core":                      "no test TestNothing",
		"go test -run TestDocumentedCommands ./core":           "no test TestDocumentedCommands",
		"go test -run - ./core":                                "no test -",
		"go test -run - -bench Nothing ./core":                 "no benchmark Nothing",
		"go test -run '(' ./core":                              "error parsing regexp",
		"go test ./nothing":                                    "no such file",
		"SYSMASTER_NOTHING=1 go test -run Flood ./init":        "nothing reads SYSMASTER_NOTHING",
		"bin/nothing --help":                                   "does not build it",
		"rm -rf bin":                                           "neither make",
		`make torture TORTURE="--rounds 9 --json"`:             "",
		"make sim SIM_SEED=42":                                 "",
		"go test -run DocumentedComm":                          "",
		"go test ./... -run 'TestWrong|TestNothing'":           "",
		"GOGC=400 go test -run - -bench RecoverFromLog ./core": "",
		"go test -run 'TestCorpus/slow' -v ./core/sim":         "",
		"go test -run=TestCorpus ./core/...":                   "",
	} {
		if got := wrongCommand(c); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("wrongCommand(%s) = %q; want %q", c, got, want)
		}
	}
}

// words splits as a shell does, as far as the pages need it.
func words(c string) (list []string) {
	quote, word := rune(0), ""
	for _, r := range c + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word += string(r)
		case r == '"' || r == '\'':
			quote = r
		case r == ' ':
			if word != "" {
				list = append(list, word)
			}
			word = ""
		default:
			word += string(r)
		}
	}
	return list
}

// mustRead is a file of this tree; a test binary runs in it.
func mustRead(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func wrongCommand(c string) string {
	list := words(c)
	for len(list) > 0 && strings.Contains(list[0], "=") {
		name, _, _ := strings.Cut(list[0], "=")
		if why := wrongEnvironment(name); why != "" {
			return why
		}
		list = list[1:]
	}
	makefile := mustRead("Makefile")
	switch {
	case len(list) > 1 && list[0] == "make":
		for _, w := range list[1:] {
			if name, value, variable := strings.Cut(w, "="); variable {
				if why := wrongVariable(name, value); why != "" {
					return why
				}
			} else if !strings.Contains(makefile, "\n"+w+":") {
				return "the Makefile has no target " + w
			}
		}
		return ""
	case len(list) > 1 && list[0] == "go":
		return wrongGo(list[1:])
	case len(list) > 0 && strings.HasPrefix(list[0], "bin/"):
		if !strings.Contains(makefile, "-o "+list[0]+" ") {
			return "the Makefile does not build it"
		}
		return ""
	}
	return "neither make, nor go, nor a program that make builds"
}

// wrongVariable says what is wrong with a variable for make.
func wrongVariable(name, value string) string {
	if !strings.Contains(mustRead("Makefile"), "$("+name+")") {
		return "the Makefile has no variable " + name
	}
	if name != "TORTURE" {
		return ""
	}
	flags := regexp.MustCompile(`f\.(?:[A-Z]\w*)?Var\([^"]*, "([a-z-]+)"`).FindAllStringSubmatch(mustRead("examples/torture/main.go"), -1)
	for _, w := range strings.Fields(value) {
		flag, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
		if strings.HasPrefix(w, "-") && !slices.ContainsFunc(flags, func(m []string) bool { return m[1] == flag }) {
			return "torture has no flag " + w
		}
	}
	return ""
}

// wrongEnvironment: a variable before a command is Go's own, or some test reads it.
func wrongEnvironment(name string) string {
	if strings.HasPrefix(name, "GO") {
		return ""
	}
	found := false
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, "_test.go") && p != "docs_test.go" {
			found = found || strings.Contains(mustRead(p), `"`+name+`"`)
		}
		return err
	})
	switch {
	case err != nil:
		return err.Error()
	case !found:
		return "nothing reads " + name
	}
	return ""
}

// wrongGo says what is wrong with a go command: its packages exist, and hold what -run and -bench name.
func wrongGo(args []string) string {
	var dirs []string
	wanted := map[string]string{}
	for i := 1; i < len(args); i++ {
		flag, value, given := strings.Cut(strings.TrimPrefix(args[i], "-"), "=")
		switch {
		case strings.HasPrefix(args[i], "./"):
			dirs = append(dirs, args[i])
		case args[i][0] == '-' && (flag == "run" || flag == "bench" || flag == "fuzz"):
			if !given && i+1 < len(args) {
				i++
				value = args[i]
			}
			wanted[flag] = value
		}
	}
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	source := ""
	for _, dir := range dirs {
		text, err := testFiles(dir)
		if err != nil {
			return err.Error()
		}
		source += text
	}
	if args[0] != "test" {
		return ""
	}
	if run, also := wanted["run"]; also && wanted["bench"] == "" {
		if why := matches(source, "Test|Fuzz|Example", run, "test"); why != "" {
			return why
		}
	}
	if fuzz := wanted["fuzz"]; fuzz != "" {
		if why := matches(source, "Fuzz", fuzz, "fuzz target"); why != "" {
			return why
		}
	}
	if bench := wanted["bench"]; bench != "" {
		return matches(source, "Benchmark", bench, "benchmark")
	}
	return ""
}

// testFiles are the tests of a package, and of all below it if it ends in "/...".
func testFiles(dir string) (string, error) {
	root, all := strings.CutSuffix(dir, "/...")
	text := ""
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != filepath.Clean(root) && p != root && !all:
			return fs.SkipDir
		case strings.HasSuffix(p, "_test.go"):
			text += "\n" + mustRead(p)
		}
		return nil
	})
	return text, err
}

// matches looks for a function that a pattern of go test selects: a regular expression anywhere in the name;
// what follows a slash selects subtests, which only running them would show.
func matches(source, kinds, pattern, what string) string {
	top, _, _ := strings.Cut(pattern, "/")
	re, err := regexp.Compile(top)
	if err != nil {
		return err.Error()
	}
	for _, m := range regexp.MustCompile(`\nfunc ((?:`+kinds+`)\w*)\(`).FindAllStringSubmatch(source, -1) {
		if re.MatchString(m[1]) {
			return ""
		}
	}
	return "there is no " + what + " " + pattern + " there"
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
