package core

import "github.com/sysmaster-go/sysmaster/unit"

// NewView makes a view of units and jobs as they are given: for tests, and for whoever
// serves the control API from something else than this engine. Units are found by their
// Name and by the aliases of their Spec; jobs must be sorted by ID; state is what
// SystemState answers. Nothing is copied: the caller must not change what it passed.
func NewView(units []*UnitView, jobs []*JobView, state string) *View {
	v := &View{names: make(map[unit.Name]int, len(units)), jobs: jobs, state: state, count: len(units)}
	for i, u := range units {
		if i%chunkSize == 0 {
			v.units = append(v.units, new(chunk))
		}
		v.units[i/chunkSize][i%chunkSize] = u
		v.names[u.Name] = i
		if u.Spec == nil {
			continue
		}
		for _, a := range u.Spec.Aliases {
			v.names[a] = i
		}
	}
	return v
}
