package client

import (
	"context"
	"errors"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// Unit is one row of the list of units.
type Unit struct {
	Name, Description, Load, Active, Sub string
	JobID                                uint32 // 0: none
	JobType                              string
}

// Process is one process of a unit.
type Process struct {
	CGroup  string // absolute
	PID     uint32
	Command string
}

// Props are properties by name.
type Props map[string]dbus.Variant

// Units lists the loaded units in one of the states and with a name that matches one of the
// patterns; empty lists mean all.
func (c *Client) Units(ctx context.Context, states, patterns []string) ([]Unit, error) {
	out, err := c.Read(ctx, wire.ManagerPath, wire.ManagerIface, "ListUnitsByPatterns", "asas", orEmpty(states), orEmpty(patterns))
	if err != nil {
		return nil, err
	}
	var units []Unit
	err = rows(out, "ListUnitsByPatterns", 10, func(r wire.Struct) bool {
		id, ok := r[7].(uint32)
		units = append(units, Unit{text(r[0]), text(r[1]), text(r[2]), text(r[3]), text(r[4]), id, text(r[8])})
		return ok
	})
	return units, err
}

// Unit gives all properties of a unit, of all its interfaces. A unit that is not loaded is loaded.
func (c *Client) Unit(ctx context.Context, name string) (Props, error) {
	return c.all(ctx, wire.UnitPath(name))
}

// Manager gives all properties of the manager.
func (c *Client) Manager(ctx context.Context) (Props, error) { return c.all(ctx, wire.ManagerPath) }

func (c *Client) all(ctx context.Context, path string) (Props, error) {
	out, err := c.Read(ctx, path, wire.PropsIface, "GetAll", "s", "")
	if err != nil {
		return nil, err
	}
	if len(out) == 1 {
		if m, ok := out[0].(map[string]dbus.Variant); ok {
			return m, nil
		}
	}
	return nil, malformed("GetAll")
}

// Property gives one property of a unit.
func (c *Client) Property(ctx context.Context, unit, iface, name string) (dbus.Variant, error) {
	return c.property(ctx, wire.UnitPath(unit), iface, name)
}

func (c *Client) property(ctx context.Context, path, iface, name string) (dbus.Variant, error) {
	out, err := c.Read(ctx, path, wire.PropsIface, "Get", "ss", iface, name)
	if err != nil {
		return dbus.Variant{}, err
	}
	if len(out) == 1 {
		if v, ok := out[0].(dbus.Variant); ok {
			return v, nil
		}
	}
	return dbus.Variant{}, malformed("Get")
}

// SystemState is systemd's word for the whole machine ("running", "degraded" ...).
func (c *Client) SystemState(ctx context.Context) (string, error) {
	v, err := c.property(ctx, wire.ManagerPath, wire.ManagerIface, "SystemState")
	s, _ := v.Value().(string)
	return s, err
}

// ActiveState is a unit's active state ("active", "failed" ...).
func (c *Client) ActiveState(ctx context.Context, unit string) (string, error) {
	v, err := c.Property(ctx, unit, wire.UnitIface, "ActiveState")
	s, _ := v.Value().(string)
	return s, err
}

// Processes lists a unit's processes.
func (c *Client) Processes(ctx context.Context, unit string) ([]Process, error) {
	out, err := c.Read(ctx, wire.ManagerPath, wire.ManagerIface, "GetUnitProcesses", "s", unit)
	if err != nil {
		return nil, err
	}
	var list []Process
	err = rows(out, "GetUnitProcesses", 3, func(r wire.Struct) bool {
		pid, ok := r[1].(uint32)
		list = append(list, Process{text(r[0]), pid, text(r[2])})
		return ok
	})
	return list, err
}

// Kill signals a unit's processes; who is "all", "main" or "control".
func (c *Client) Kill(ctx context.Context, unit, who string, signal int) error {
	return c.command(ctx, "KillUnit", "ssi", []any{unit, who, int32(signal)}, "KillUnit", "ssi", unit, who, int32(signal))
}

// ResetFailed clears the failed state of one unit, or of all for an empty name.
func (c *Client) ResetFailed(ctx context.Context, unit string) error {
	if unit == "" {
		return c.command(ctx, "ResetFailed", "s", []any{""}, "ResetFailed", "")
	}
	return c.command(ctx, "ResetFailed", "s", []any{unit}, "ResetFailedUnit", "s", unit)
}

// Reload makes the manager read all unit files again; it returns when that is done.
func (c *Client) Reload(ctx context.Context) error {
	return c.command(ctx, "Reload", "", nil, "Reload", "")
}

// Reexec replaces the manager by a fresh one and returns when that answers.
func (c *Client) Reexec(ctx context.Context) error {
	if err := c.manager(ctx, "Reexecute", ""); err != nil && !isLost(err) {
		return err
	}
	_, err := c.SystemState(ctx)
	return err
}

// Shutdown takes the machine down at once, without stopping units: "PowerOff", "Reboot", "Halt" or "Exit". The
// manager may be gone before it answers, and not come back: that is no error.
func (c *Client) Shutdown(ctx context.Context, method string) error {
	err := c.command(ctx, "Shutdown", "s", []any{strings.ToLower(method)}, method, "")
	var gone *UnreachableError
	if isLost(err) || c.connected() && errors.As(err, &gone) {
		return nil
	}
	return err
}

// WaitDown returns when the unit is inactive or failed, with that state.
func (c *Client) WaitDown(ctx context.Context, unit string) (string, error) {
	for {
		s, err := c.session(ctx)
		if err != nil {
			return "", err
		}
		if err := c.manager(ctx, "Subscribe", ""); err != nil && !isLost(err) &&
			!Is(err, "org.freedesktop.systemd1.AlreadySubscribed") {
			return "", err
		}
		for live := true; live; {
			_, changed := s.result("")
			state, err := c.ActiveState(ctx, unit)
			if err != nil || state == "inactive" || state == "failed" {
				return state, err
			}
			select {
			case <-changed:
			case <-s.lost:
				live = false
			case <-ctx.Done():
				return state, ctx.Err()
			}
		}
	}
}

// rows calls f for each structure of an answer that is one array of structures with n fields.
func rows(out []any, member string, n int, f func(wire.Struct) bool) error {
	var list []any
	ok := len(out) == 1
	if ok {
		list, ok = out[0].([]any)
	}
	for i := 0; ok && i < len(list); i++ {
		r, isStruct := list[i].(wire.Struct)
		ok = isStruct && len(r) == n && f(r)
	}
	if !ok {
		return malformed(member)
	}
	return nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// NextSystemState returns when the system's state is another one than last.
func (c *Client) NextSystemState(ctx context.Context, last string) (string, error) {
	for {
		s, err := c.session(ctx)
		if err != nil {
			return "", err
		}
		_, changed := s.result("")
		state, err := c.SystemState(ctx)
		if err != nil || state != last {
			return state, err
		}
		select {
		case <-changed:
		case <-s.lost:
		case <-ctx.Done():
			return state, ctx.Err()
		}
	}
}
