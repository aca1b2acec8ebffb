package unitfile_test

import (
	"fmt"
	"testing/fstest"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/unitfile"
)

// A loader needs a file system, facts, and the kinds that it shall know.
func ExampleLoader_Load() {
	fsys := fstest.MapFS{
		"etc/systemd/system/hello@.target": {Data: []byte("[Unit]\nDescription=Hello %I\nAfter=network.target\nWants=%i.service\nDefaultDependncies=no\n")},
	}
	target := &unit.Type{
		Kind: unit.KindTarget, Keys: unit.NewKeySet(unit.CommonKeys(), unit.InstallKeys()),
		NewConfig: func() any { c := unit.NewCommon(); return &c },
	}
	l := unitfile.NewLoader(unitfile.Config{
		FS: fsys, Facts: unitfile.SystemFacts(), Types: map[unit.Kind]*unit.Type{unit.KindTarget: target},
	})

	spec := l.Load("hello@big-world.target")
	fmt.Println(spec.Load, spec.FragmentPath)
	for _, s := range spec.Settings {
		fmt.Printf("%s=%s\n", s.Key, s.Value)
	}
	for _, d := range spec.Deps {
		fmt.Println(d.Rel, d.Unit, d.Pos)
	}
	for _, d := range spec.Diags {
		fmt.Println(d)
	}
	// Output:
	// loaded /etc/systemd/system/hello@.target
	// Description=Hello big/world
	// After network.target /etc/systemd/system/hello@.target:3
	// Wants big-world.service /etc/systemd/system/hello@.target:4
	// /etc/systemd/system/hello@.target:5: unknown key DefaultDependncies in section [Unit] is ignored (did you mean DefaultDependencies=?)
}
