package unit

// conditionTypes are the conditions of systemd 252, without Condition or Assert. Those that
// take a path have it checked.
var conditionTypes = [...]struct {
	name string
	path bool
}{
	{"PathExists", true}, {"PathExistsGlob", true}, {"PathIsDirectory", true}, {"PathIsSymbolicLink", true},
	{"PathIsMountPoint", true}, {"PathIsReadWrite", true}, {"PathIsEncrypted", true}, {"DirectoryNotEmpty", true},
	{"FileNotEmpty", true}, {"FileIsExecutable", true}, {"NeedsUpdate", true},
	{"FirstBoot", false}, {"Architecture", false}, {"Firmware", false}, {"Virtualization", false}, {"Host", false},
	{"KernelCommandLine", false}, {"KernelVersion", false}, {"Credential", false}, {"Security", false},
	{"Capability", false}, {"ACPower", false}, {"Memory", false}, {"CPUFeature", false}, {"CPUs", false},
	{"Environment", false}, {"User", false}, {"Group", false}, {"ControlGroupController", false},
	{"OSRelease", false}, {"MemoryPressure", false}, {"CPUPressure", false}, {"IOPressure", false},
}

func conditionKeys(section string) []Key {
	keys := make([]Key, 0, 2*len(conditionTypes))
	for _, t := range conditionTypes {
		for _, assert := range [...]bool{false, true} {
			k := Key{Section: section, Form: FormText, Syntax: "[|][!]argument",
				Name: "Condition" + t.name, Doc: "A start is skipped unless this holds (| one of several, ! negated)."}
			if assert {
				k.Name, k.Doc = "Assert"+t.name, "A start fails unless this holds (| one of several, ! negated)."
			}
			if t.path {
				k.Syntax = "[|][!]absolute path"
			}
			keys = append(keys, Bind(k, setCondition(t.name, t.path, assert)))
		}
	}
	return keys
}

// setCondition adds a condition. An empty value drops all conditions, or all assertions, of
// whatever type (man systemd.unit(5), CONDITIONS AND ASSERTS).
func setCondition(name string, path, assert bool) func(*Common, string) error {
	return func(c *Common, v string) error {
		if v == "" {
			kept := make([]Condition, 0, len(c.Conditions))
			for _, x := range c.Conditions {
				if x.Assert != assert {
					kept = append(kept, x)
				}
			}
			c.Conditions = kept
			return nil
		}
		x := ParseCondition(name, v)
		x.Assert = assert
		if path {
			p, err := ParsePath(x.Param)
			if err != nil {
				return err
			}
			x.Param = p
		}
		c.Conditions = append(c.Conditions, x)
		return nil
	}
}

// ParseCondition splits the argument of a condition from its marks, "|" and then "!". Blanks
// after a mark are part of a path and ignored before anything else, as in systemd.
func ParseCondition(name, v string) Condition {
	x := Condition{Type: name}
	trim := !isPathCondition(name)
	for _, mark := range [...]struct {
		char byte
		flag *bool
	}{{'|', &x.Trigger}, {'!', &x.Negate}} {
		if v == "" || v[0] != mark.char {
			continue
		}
		*mark.flag = true
		v = v[1:]
		if trim {
			v = trimBlankLeft(v)
		}
	}
	x.Param = v
	return x
}

func isPathCondition(name string) bool {
	for _, t := range conditionTypes {
		if t.name == name {
			return t.path
		}
	}
	return false
}
