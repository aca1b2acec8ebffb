// The rules of the house that a compiler does not keep: who may import whom, and what no
// package does. They are kept by tests, so that breaking one is a decision and not a slip.
package sysmaster_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sysmaster-go/sysmaster"

// The modules that this one needs, as prefixes of import paths.
const (
	xsys   = "golang.org/x/sys"
	toml   = "github.com/pelletier/go-toml/v2"
	godbus = "github.com/godbus/dbus/v5"
)

// imports says what the packages of a folder may import beside the standard library: own
// folders, "x/..." with all below, and other modules. A folder that is not here takes the
// line "<parent>/*"; one without any line fails the test.
var imports = map[string][]string{
	"unit":           {},
	"unit/unitfile":  {"unit", toml},
	"unit/execspec":  {"unit"},
	"unit/execseq":   {"unit", "unit/execspec"},
	"unit/calendar":  {"unit", "unit/unitfile"},
	"unit/condition": {"unit", "unit/unitfile"},
	"unit/install":   {"unit", "unit/unitfile"},
	"unit/convert":   {"unit", "unit/unitfile"},
	"unit/verify":    {"unit", "unit/unitfile", "unit/execspec"},
	"unit/*":         {"unit", "unit/execspec", "unit/execseq"}, // one unit type each

	"state":           {"state/record", xsys},
	"state/record":    {},
	"state/fdstore":   {xsys},
	"state/statetest": {"state"},
	"state/durable":   {"state"},

	"cgroup": {xsys},

	"core":                      {"unit", "state", "state/record", "core/sys"},
	"core/sys":                  {"unit", "state/fdstore"},
	"core/sys/shim":             {"unit/execspec", xsys},
	"core/sys/linux":            {"unit", "unit/execspec", "core/sys", "core/sys/linux/spawn", "cgroup", "state/fdstore", xsys},
	"core/sys/linux/spawn":      {"unit", "unit/execspec", "core/sys/shim", xsys},
	"core/sys/linux/conditions": {"unit/condition", xsys},
	"core/sys/linux/setup":      {"unit/execspec", xsys},
	"core/sim":                  {"unit", "core", "core/sys", "state", "state/statetest"},
	"core/sim/simtest":          {"unit", "unit/unitfile", "unit/service", "unit/socket", "unit/target", "unit/slice", "core", "core/sim"},
	"core/control":              {"unit", "core", "core/client/wire", godbus},
	"core/client":               {"unit", "core/client/wire", godbus},
	"core/client/wire":          {godbus},
	"core/client/cli":           {"unit", "unit/unitfile", "unit/verify", "core/client", "core/client/wire", godbus},

	"init":   {"init/...", "state/fdstore", xsys},
	"init/*": {"init/...", "state/fdstore", xsys},

	"init/handover": {"state/fdstore", "state/record", xsys},

	"plugin":       {"unit", "github.com/hashicorp/go-plugin"},
	"extensions/*": {"unit/unitfile", "core/client"},
}

// Folders whose packages are pure: no clock, no goroutines, no environment.
var pure = []string{"unit", "unit/...", "core", "core/sim", "state", "state/record"}

// impure are the functions that a pure package does not call.
var impure = map[string][]string{
	"time":         {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
	"os":           {"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Hostname"},
	"math/rand":    {"*"},
	"math/rand/v2": {"Int", "IntN", "Int32", "Int32N", "Int64", "Int64N", "Uint32", "Uint64", "N", "Float32", "Float64", "Perm", "Shuffle"}, // not those of a Rand with a seed
	"crypto/rand":  {"*"},
}

// source is one Go file of the tree.
type source struct {
	dir, name string // dir relative to the root, "." for the root itself
	file      *ast.File
	test      bool
}

// sources parses all Go files once.
func sources(t *testing.T) (*token.FileSet, []source) {
	t.Helper()
	set := token.NewFileSet()
	var out []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() && p != "." && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(base, ".go") {
			return nil
		}
		f, err := parser.ParseFile(set, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		out = append(out, source{filepath.ToSlash(filepath.Dir(p)), base, f, strings.HasSuffix(base, "_test.go")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return set, out
}

// within reports whether dir is one of folders, where "x/..." means x and all below.
func within(dir string, folders []string) bool {
	for _, f := range folders {
		base, below := strings.CutSuffix(f, "/...")
		if dir == f || below && (dir == base || strings.HasPrefix(dir, base+"/")) {
			return true
		}
	}
	return false
}

func isExample(dir string) bool { return within(dir, []string{"examples/..."}) }

func TestImportDirections(t *testing.T) {
	set, all := sources(t)
	for _, s := range all {
		if s.test || isExample(s.dir) || s.dir == "." {
			continue
		}
		line := s.dir
		allowed, ok := imports[line]
		if !ok {
			line = path.Dir(s.dir) + "/*"
			allowed, ok = imports[line]
		}
		if !ok {
			t.Errorf("%s: what this folder may import is not said in rules_test.go", s.dir)
			continue
		}
		for _, i := range s.file.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !mayImport(s.dir, p, allowed) {
				t.Errorf("%s: %s may not import %s", set.Position(i.Pos()), s.dir, p)
			}
		}
	}
}

// mayImport judges one import path: the standard library is free, but for cgo and loggers.
func mayImport(dir, p string, allowed []string) bool {
	first, _, _ := strings.Cut(p, "/")
	if !strings.Contains(first, ".") {
		return p != "C" && p != "log" && p != "log/slog" && p != "log/syslog"
	}
	if own, ok := strings.CutPrefix(p, module+"/"); ok {
		return own == dir || within(own, allowed)
	}
	for _, a := range allowed {
		if p == a || strings.HasPrefix(p, a+"/") {
			return true
		}
	}
	return false
}

func TestPackageComments(t *testing.T) {
	_, all := sources(t)
	count, packages := map[string][]string{}, map[string]bool{}
	for _, s := range all {
		if s.test {
			continue
		}
		packages[s.dir] = true
		if s.file.Doc != nil {
			count[s.dir] = append(count[s.dir], s.name)
		}
	}
	for _, dir := range sorted(packages) {
		if n := count[dir]; len(n) != 1 {
			t.Errorf("%s has package comments in %q; want one", dir, n)
		}
	}
}

func sorted(m map[string]bool) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func TestNoInit(t *testing.T) {
	set, all := sources(t)
	for _, s := range all {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init runs in every program that links the package", set.Position(f.Pos()))
			}
		}
	}
}

// TestNoInitialisers: a package-level variable that calls a function costs every program that
// links the package, and cannot be trimmed.
func TestNoInitialisers(t *testing.T) {
	set, all := sources(t)
	types := map[string]bool{} // "dir.Type"
	for _, s := range all {
		eachSpec(s.file, token.TYPE, func(spec ast.Spec) {
			types[s.dir+"."+spec.(*ast.TypeSpec).Name.Name] = true
		})
	}
	for _, s := range all {
		if s.test {
			continue
		}
		eachSpec(s.file, token.VAR, func(spec ast.Spec) {
			for _, v := range spec.(*ast.ValueSpec).Values {
				ast.Inspect(v, func(n ast.Node) bool {
					if _, ok := n.(*ast.FuncLit); ok {
						return false // is not called here
					}
					if c, ok := n.(*ast.CallExpr); ok && !harmless(s, c, types) {
						t.Errorf("%s: the initialiser of a package-level variable calls a function", set.Position(c.Pos()))
					}
					return true
				})
			}
		})
	}
}

func eachSpec(f *ast.File, kind token.Token, do func(ast.Spec)) {
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == kind {
			for _, spec := range g.Specs {
				do(spec)
			}
		}
	}
}

// basic are the predeclared types and the functions that a compiler evaluates.
var basic = []string{"string", "bool", "byte", "rune", "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16",
	"uint32", "uint64", "uintptr", "float32", "float64", "len", "cap", "min", "max", "new"}

// harmless reports whether a call is errors.New or a conversion.
func harmless(s source, c *ast.CallExpr, types map[string]bool) bool {
	switch f := c.Fun.(type) {
	case *ast.ParenExpr, *ast.ArrayType, *ast.MapType, *ast.FuncType, *ast.InterfaceType:
		return true
	case *ast.Ident:
		return slices.Contains(basic, f.Name) || types[s.dir+"."+f.Name]
	case *ast.SelectorExpr:
		pkg, ok := f.X.(*ast.Ident)
		if !ok {
			return false
		}
		p := importPath(s.file, pkg.Name)
		switch p + "." + f.Sel.Name {
		case "errors.New", "time.Duration", "io/fs.FileMode", "os.FileMode", "syscall.Signal", "syscall.Errno":
			return true
		}
		own, ok := strings.CutPrefix(p, module+"/")
		return ok && types[own+"."+f.Sel.Name]
	}
	return false
}

// importPath finds what a file imports under name; empty for none.
func importPath(f *ast.File, name string) string {
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		if i.Name != nil && i.Name.Name == name || i.Name == nil && (path.Base(p) == name || name == "rand" && p == "math/rand/v2") {
			return p
		}
	}
	return ""
}

func TestPurity(t *testing.T) {
	set, all := sources(t)
	for _, s := range all {
		if s.test || !within(s.dir, pure) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a pure package starts no goroutine", set.Position(n.Pos()))
			case *ast.SelectorExpr:
				if call := selected(s.file, n); call != "" {
					t.Errorf("%s: a pure package does not use %s", set.Position(n.Pos()), call)
				}
			}
			return true
		})
	}
}

// selected is "package.Name" if the selector is one of impure.
func selected(f *ast.File, e *ast.SelectorExpr) string {
	x, ok := e.X.(*ast.Ident)
	if !ok {
		return ""
	}
	p := importPath(f, x.Name)
	names := impure[p]
	if slices.Contains(names, "*") || slices.Contains(names, e.Sel.Name) {
		return p + "." + e.Sel.Name
	}
	return ""
}

func TestNoSleepInTests(t *testing.T) {
	set, all := sources(t)
	for _, s := range all {
		if !s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if e, ok := n.(*ast.SelectorExpr); ok && e.Sel.Name == "Sleep" {
				if x, ok := e.X.(*ast.Ident); ok && importPath(s.file, x.Name) == "time" {
					t.Errorf("%s: a test that sleeps is slow or flaky: inject the clock, or await the event with a deadline", set.Position(e.Pos()))
				}
			}
			return true
		})
	}
}

// TestLoggers: libraries hand typed records to their caller; a main makes lines of them.
func TestLoggers(t *testing.T) {
	set, all := sources(t)
	for _, s := range all {
		if s.test || isExample(s.dir) || strings.Contains(s.dir+"/", "/cmd/") {
			continue
		}
		for _, i := range s.file.Imports {
			switch i.Path.Value {
			case `"log"`, `"log/slog"`, `"log/syslog"`:
				t.Error(fmt.Sprint(set.Position(i.Pos())) + ": no logger in a library")
			}
		}
	}
}
