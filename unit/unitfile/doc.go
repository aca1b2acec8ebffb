// Package unitfile turns systemd's unit files into unit.Spec values: fragments, drop-ins,
// templates, aliases, masks, .wants/ and .requires/ links, and specifiers, as systemd 252
// does it.
//
//	directories --Reload--> index of names --Load(name)--> Spec
//	                                            |
//	   alias links -> canonical name -> fragment, drop-ins, links -> Parse -> specifiers -> Key.Apply
//
// The package reads nothing but the file system it is given, and knows nothing of the
// machine but Facts and nothing of unit kinds but their key tables. Loading never fails as a
// whole: what is wrong with one unit stands in its Spec, as a load state and as diagnostics
// with file, line and what would be right.
//
// Everything in unit files counts as hostile: files, lines, directories, links and the number
// of diagnostics, settings and dependencies are bounded.
package unitfile
