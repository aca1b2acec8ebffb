package spawn

import (
	"slices"

	"github.com/sysmaster-go/sysmaster/core/sys/shim"
	"github.com/sysmaster-go/sysmaster/unit"
)

// identity is as whom a process runs.
type identity struct {
	user    *User // nil without User=
	set     bool  // change credentials
	uid     uint32
	gid     uint32
	groups  []uint32
	setUser bool // User= is given
}

// identify resolves User=, Group= and SupplementaryGroups=. The names are looked up even when
// the command keeps full privileges: systemd fails the start, too, and USER= is set all the same.
func (s *Spawner) identify(req *Request) (identity, *unit.SpawnError) {
	c := req.Context
	var id identity
	if c.User != "" {
		u, err := s.users.user(c.User)
		if err != nil {
			return id, &unit.SpawnError{Status: shim.ExitUser, Step: "User", Msg: err.Error()}
		}
		id.user, id.uid, id.gid, id.setUser = &u, u.UID, u.GID, true
		if id.groups, err = s.users.memberships(u.Name); err != nil {
			return id, &unit.SpawnError{Status: shim.ExitGroup, Step: "SupplementaryGroups", Msg: err.Error()}
		}
	}
	if c.Group != "" {
		gid, err := s.users.groupID(c.Group)
		if err != nil {
			return id, &unit.SpawnError{Status: shim.ExitGroup, Step: "Group", Msg: err.Error()}
		}
		id.gid = gid
	}
	for _, name := range c.SupplementaryGroups {
		gid, err := s.users.groupID(name)
		if err != nil {
			return id, &unit.SpawnError{Status: shim.ExitGroup, Step: "SupplementaryGroups", Msg: err.Error()}
		}
		if !slices.Contains(id.groups, gid) {
			id.groups = append(id.groups, gid)
		}
	}
	if c.User != "" && !slices.Contains(id.groups, id.gid) {
		id.groups = append([]uint32{id.gid}, id.groups...)
	}
	any := c.User != "" || c.Group != "" || len(c.SupplementaryGroups) > 0
	id.set = any && confined(req) && req.Command.Privileges != '!'
	return id, nil
}

// confined reports whether credentials and sandbox apply: not with "+", and not to control
// processes with PermissionsStartOnly=yes.
func confined(req *Request) bool {
	return req.Command.Privileges != '+' && !(req.Context.PermissionsStartOnly && req.Control)
}
