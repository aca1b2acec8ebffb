package service

import (
	"errors"
	"fmt"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// Options are the assembly's choices.
type Options struct {
	// AllowDegraded starts services whose protective settings cannot be honoured; each
	// such setting is said at every start. Without it they refuse to start.
	AllowDegraded bool
}

// Version of the snapshots that this package writes.
const Version = 1

// Type describes services.
func Type(o Options) unit.Type {
	keys := unit.NewKeySet(Keys())
	return unit.Type{
		Kind: unit.KindService, Version: Version, Keys: keys, StartLimit: true,
		NewConfig: func() any { c := NewConfig(); return &c },
		New:       func(spec *unit.Spec) (unit.Unit, error) { return newService(spec, keys, o) },
		Restore: func(spec *unit.Spec, version uint32, snapshot []byte) (unit.Unit, error) {
			return restore(spec, keys, o, version, snapshot)
		},
		Implied: func(spec *unit.Spec) []unit.Dep { return implied(spec, keys) },
	}
}

func newService(spec *unit.Spec, keys *unit.KeySet, o Options) (*Service, error) {
	s := &Service{name: spec.Name, cfg: NewConfig(), opt: o, data: newData()}
	if err := unit.Decode(spec, keys, &s.cfg); err != nil {
		return nil, err
	}
	if err := s.cfg.complete(); err != nil {
		return nil, fmt.Errorf("cannot load %s: %w", spec.Name, err)
	}
	return s, nil
}

// complete fills in what follows from other settings and refuses combinations that systemd
// refuses (man systemd.service(5)).
func (c *Config) complete() error {
	c.completeType()
	if c.Type == TypeOneshot && !c.timeoutStartSet {
		c.TimeoutStart = unit.Infinity
	}
	if !c.timeoutAbortSet {
		c.TimeoutAbort = c.TimeoutStop
	}
	if c.NotifyAccess == notifyNone && (c.Type == TypeNotify || c.Watchdog > 0 || c.FDStoreMax > 0) {
		c.NotifyAccess = notifyMain
	}
	if g := &c.Settings.CGroup; g.OOMPolicy == execspec.OOMDefault {
		g.OOMPolicy = execspec.OOMStop
		if g.Delegate {
			g.OOMPolicy = execspec.OOMContinue
		}
	}
	return c.check()
}

func (c *Config) completeType() {
	switch {
	case c.Type != TypeUnset:
	case c.BusName != "":
		c.Type = TypeDBus
	case len(c.Exec[listStart]) > 0:
		c.Type = TypeSimple
	default:
		c.Type = TypeOneshot
	}
}

var (
	errNoCommand   = errors.New("it has none of ExecStart=, ExecStop= and SuccessAction=")
	errNoStart     = errors.New("without ExecStart= it needs Type=oneshot and RemainAfterExit=yes, or SuccessAction=")
	errManyStarts  = errors.New("more than one ExecStart= needs Type=oneshot")
	errRestart     = errors.New("Restart=always and on-success do not go with Type=oneshot")
	errNoBusName   = errors.New("Type=dbus needs BusName=")
	errExitForking = errors.New("ExitType=cgroup does not go with Type=forking")
	errFreeCommand = errors.New("Type=oneshot alone can do without ExecStart=")
)

func (c *Config) check() error {
	starts := len(c.Exec[listStart])
	noAction := c.Common.SuccessAction == "none" || c.Common.SuccessAction == ""
	switch {
	case starts == 0 && len(c.Exec[listStop]) == 0 && noAction:
		return errNoCommand
	case starts == 0 && !c.RemainAfterExit && noAction:
		return errNoStart
	case starts == 0 && c.Type != TypeOneshot:
		return errFreeCommand
	case starts > 1 && c.Type != TypeOneshot:
		return errManyStarts
	case c.Type == TypeOneshot && (c.Restart == restartAlways || c.Restart == restartOnSuccess):
		return errRestart
	case c.Type == TypeDBus && c.BusName == "":
		return errNoBusName
	case c.ExitTypeCgroup && c.Type == TypeForking:
		return errExitForking
	}
	return nil
}

// implied are the dependencies that the kind and the settings bring (man
// systemd.service(5), AUTOMATIC DEPENDENCIES; systemd.exec(5); systemd.resource-control(5)).
func implied(spec *unit.Spec, keys *unit.KeySet) []unit.Dep {
	cfg := NewConfig()
	if err := unit.Decode(spec, keys, &cfg); err != nil {
		return nil // New has told it
	}
	cfg.completeType()
	return cfg.implied(spec.Name)
}

// Common implements unit.Decoded.
func (s *Service) Common() *unit.Common { return &s.cfg.Common }

// Implied implements unit.Decoded.
func (s *Service) Implied() []unit.Dep { return s.cfg.implied(s.name) }

func (cfg *Config) implied(name unit.Name) []unit.Dep {
	d := deps{list: make([]unit.Dep, 0, 12)} // more than most have
	slice := cfg.Settings.CGroup.Slice
	if slice == "" {
		slice = DefaultSlice(name)
	}
	d.add(unit.OriginImplicit, slice, unit.InSlice, unit.Requires, unit.After)
	if cfg.Type == TypeDBus { // and no other service with a BusName=
		d.add(unit.OriginImplicit, "dbus.socket", unit.Requires, unit.After)
	}
	for _, s := range cfg.Sockets {
		d.add(unit.OriginImplicit, s, unit.Wants, unit.After, unit.TriggeredBy)
	}
	d.mounts(&cfg.Settings.Exec)
	if cfg.Common.DefaultDependencies {
		d.add(unit.OriginDefault, "sysinit.target", unit.Requires, unit.After)
		d.add(unit.OriginDefault, "basic.target", unit.After)
		d.add(unit.OriginDefault, "shutdown.target", unit.Conflicts, unit.Before)
	}
	return d.list
}

// DefaultSlice is where a service without Slice= lives: system.slice, instances of a
// template in a slice of their own below it.
func DefaultSlice(n unit.Name) unit.Name {
	if n.IsInstance() {
		return unit.Name("system-" + unit.Escape(n.Prefix()) + ".slice")
	}
	return "system.slice"
}

type deps struct{ list []unit.Dep }

func (d *deps) add(o unit.Origin, n unit.Name, rels ...unit.Relation) {
	for _, r := range rels {
		d.list = append(d.list, unit.Dep{Rel: r, Unit: n, Origin: o})
	}
}

func (d *deps) mounts(c *execspec.Context) {
	var paths []string
	if !c.WorkingDirectoryMissingOK {
		paths = append(paths, c.WorkingDirectory)
	}
	paths = append(paths, c.RootDirectory)
	for k := execspec.DirectoryKind(0); k < execspec.NumDirectoryKinds; k++ {
		paths = append(paths, c.Paths(k)...)
	}
	for _, p := range paths {
		if p != "" {
			d.list = append(d.list, unit.Dep{Rel: unit.RequiresMountsFor, Path: p, Origin: unit.OriginImplicit})
		}
	}
}
