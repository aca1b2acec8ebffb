// Package simtest puts a simulated machine together for whoever has a directory of unit files: the
// kinds of units of the reference assembly, a loader of unit files, the facts of a made-up host, and
// the targets that every machine needs, where the directory has none of its own.
//
//	func TestWeb(t *testing.T) {
//		m := simtest.Boot(t, simtest.Config{Units: os.DirFS("testdata/web"), Programs: ...})
//		if err := m.Order("database.service", "web.service"); err != nil {
//			t.Error(err)
//		}
//	}
//
// No root, no process and no second of real time is needed. See core/sim for what a Machine can do.
package simtest
