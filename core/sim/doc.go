// Package sim is the simulated machine: a core/sys.World on a virtual clock, in which
// units, their processes and the crashes of the core are played from one seed.
//
// The engine under test is the real one; only the world is not. A Machine outlives the
// core: its processes, descriptors and stored state stay when the core is crashed, and
// a new core recovers from them. The same seed gives the same trace byte for byte.
//
//	m := sim.New(sim.Config{Files: files, Types: types, Seed: 1, Boot: "multi-user.target"})
//	m.Program("/usr/sbin/nginx", sim.Daemon())
//	err := m.RunUntil(func() bool { return m.Active("nginx.service") }, time.Minute)
//
// A Machine belongs to one goroutine.
package sim
