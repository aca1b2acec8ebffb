package unitfile

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// scope is what specifiers are resolved against.
type scope struct {
	facts    *Facts
	name     unit.Name
	fragment string // real path of the unit's file; empty: none
	slice    string // Slice= as far as it was read
}

var errLong = errors.New("the value grows too long when its specifiers are expanded")

// expand replaces specifiers. "%%" is a percent sign, "%" before anything but a letter
// or digit stands for itself, an unknown one is an error.
func (sc *scope) expand(s string) (string, error) {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s, nil
	}
	var b strings.Builder
	for ; i >= 0 && i+1 < len(s); i = strings.IndexByte(s, '%') {
		b.WriteString(s[:i])
		c := s[i+1]
		s = s[i+2:]
		switch {
		case c == '%':
			b.WriteByte('%')
		case c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9':
			v, err := sc.lookup(c)
			if err != nil {
				return "", err
			}
			b.WriteString(v)
		default:
			// What follows is looked at again: it cannot be a percent sign here.
			b.WriteByte('%')
			b.WriteByte(c)
		}
		if b.Len() > LineMax {
			return "", errLong
		}
	}
	b.WriteString(s)
	return b.String(), nil
}

// expandWords expands inside the words of a value and quotes what needs it, so that an
// expansion neither splits nor vanishes. The bare ";" between commands stays bare.
func (sc *scope) expandWords(s string) (string, error) {
	if !mentionsPercent(s) {
		return s, nil
	}
	var out []string
	size := 0
	for {
		s = strings.TrimLeft(s, blanks)
		if s == "" {
			return strings.Join(out, " "), nil
		}
		var word string
		if n := separator(s); n > 0 {
			word, s = s[:n], s[n:]
			if word == `\;` {
				word = `";"`
			}
		} else {
			var err error
			if word, s, _, err = unit.NextWord(s); err != nil {
				return "", err
			}
			if word, err = sc.expand(word); err != nil {
				return "", err
			}
			word = unit.QuoteWord(word)
		}
		if size += len(word) + 1; size > LineMax {
			return "", errLong
		}
		out = append(out, word)
	}
}

// mentionsPercent also finds a percent sign that is written as an escape: systemd unescapes
// first, so that one counts, too.
func mentionsPercent(s string) bool {
	if strings.IndexByte(s, '%') >= 0 || strings.IndexByte(s, '\\') < 0 {
		return strings.IndexByte(s, '%') >= 0
	}
	words, err := unit.SplitWords(s)
	return err == nil && strings.Contains(strings.Join(words, ""), "%")
}

// separator is the length of a ";" or "\;" that stands as a word of its own at the
// beginning of s, 0 for anything else.
func separator(s string) int {
	n := 1
	if s[0] == '\\' {
		n = 2
	}
	if len(s) < n || s[n-1] != ';' || len(s) > n && strings.IndexByte(blanks, s[n]) < 0 {
		return 0
	}
	return n
}

func (sc *scope) lookup(c byte) (string, error) {
	for i := range specifiers {
		if specifiers[i].letter == c {
			v, err := specifiers[i].value(sc)
			if err != nil {
				return "", fmt.Errorf("specifier %%%c cannot be resolved: %w", c, err)
			}
			return v, nil
		}
	}
	return "", fmt.Errorf("%%%c is not a specifier (valid: one of systemd.unit(5), SPECIFIERS, or %%%% for a percent sign)", c)
}

// specifiers are those of systemd 252.
var specifiers = [...]struct {
	letter byte
	value  func(*scope) (string, error)
}{
	{'i', func(sc *scope) (string, error) { return sc.name.Instance(), nil }},
	{'I', func(sc *scope) (string, error) { return unit.Unescape(sc.name.Instance()) }},
	{'n', func(sc *scope) (string, error) { return string(sc.name), nil }},
	{'N', func(sc *scope) (string, error) { return sc.name.Stem(), nil }},
	{'p', func(sc *scope) (string, error) { return sc.name.Prefix(), nil }},
	{'P', func(sc *scope) (string, error) { return unit.Unescape(sc.name.Prefix()) }},
	{'j', func(sc *scope) (string, error) { return lastComponent(sc.name), nil }},
	{'J', func(sc *scope) (string, error) { return unit.Unescape(lastComponent(sc.name)) }},
	{'f', fileName},
	{'y', func(sc *scope) (string, error) { return sc.fragmentPath() }},
	{'Y', fragmentDir},
	{'d', func(sc *scope) (string, error) {
		dir, err := known(sc.facts.RuntimeDir, "the runtime directory")
		return dir + "/credentials/" + string(sc.name), err
	}},
	{'c', func(sc *scope) (string, error) { return sc.slicePath() + "/" + string(sc.name), nil }},
	{'R', func(sc *scope) (string, error) { return sc.slicePath(), nil }},
	{'r', func(sc *scope) (string, error) { return sc.facts.CgroupRoot, nil }},
	{'t', func(sc *scope) (string, error) { return known(sc.facts.RuntimeDir, "the runtime directory") }},
	{'S', func(sc *scope) (string, error) { return known(sc.facts.StateDir, "the state directory") }},
	{'C', func(sc *scope) (string, error) { return known(sc.facts.CacheDir, "the cache directory") }},
	{'L', func(sc *scope) (string, error) { return known(sc.facts.LogDir, "the log directory") }},
	{'E', func(sc *scope) (string, error) { return known(sc.facts.ConfigDir, "the configuration directory") }},
	{'T', func(sc *scope) (string, error) { return known(sc.facts.TmpDir, "the directory for temporary files") }},
	{'V', func(sc *scope) (string, error) {
		return known(sc.facts.VarTmpDir, "the directory for large temporary files")
	}},
	{'u', func(sc *scope) (string, error) { return known(sc.facts.UserName, "the manager's user name") }},
	{'U', func(sc *scope) (string, error) { return known(sc.facts.UserID, "the manager's user id") }},
	{'g', func(sc *scope) (string, error) { return known(sc.facts.GroupName, "the manager's group name") }},
	{'G', func(sc *scope) (string, error) { return known(sc.facts.GroupID, "the manager's group id") }},
	{'h', func(sc *scope) (string, error) { return known(sc.facts.Home, "the manager's home directory") }},
	{'s', func(sc *scope) (string, error) { return known(sc.facts.Shell, "the manager's shell") }},
	{'H', func(sc *scope) (string, error) { return known(sc.facts.HostName, "the host name") }},
	{'l', func(sc *scope) (string, error) { return sc.shortHost() }},
	{'q', func(sc *scope) (string, error) {
		if sc.facts.PrettyHostName != "" {
			return sc.facts.PrettyHostName, nil
		}
		return sc.shortHost()
	}},
	{'m', func(sc *scope) (string, error) { return known(sc.facts.MachineID, "the machine id") }},
	{'b', func(sc *scope) (string, error) { return known(sc.facts.BootID, "the boot id") }},
	{'v', func(sc *scope) (string, error) { return known(sc.facts.KernelRelease, "the kernel release") }},
	{'a', func(sc *scope) (string, error) { return known(sc.facts.Architecture, "the architecture") }},
	{'o', func(sc *scope) (string, error) { return sc.facts.OSID, nil }},
	{'w', func(sc *scope) (string, error) { return sc.facts.OSVersionID, nil }},
	{'W', func(sc *scope) (string, error) { return sc.facts.OSVariantID, nil }},
	{'B', func(sc *scope) (string, error) { return sc.facts.OSBuildID, nil }},
	{'M', func(sc *scope) (string, error) { return sc.facts.OSImageID, nil }},
	{'A', func(sc *scope) (string, error) { return sc.facts.OSImageVersion, nil }},
}

func known(fact, what string) (string, error) {
	if fact == "" {
		return "", errors.New(what + " is not known")
	}
	return fact, nil
}

// lastComponent is the prefix after its last dash.
func lastComponent(n unit.Name) string {
	p := n.Prefix()
	return p[strings.LastIndexByte(p, '-')+1:]
}

func fileName(sc *scope) (string, error) {
	if sc.name.IsInstance() {
		return unit.PathUnescape(sc.name.Instance())
	}
	return unit.PathUnescape(sc.name.Prefix())
}

func (sc *scope) fragmentPath() (string, error) {
	if sc.fragment == "" {
		return "", errors.New("the unit has no file")
	}
	return sc.fragment, nil
}

func fragmentDir(sc *scope) (string, error) {
	p, err := sc.fragmentPath()
	return path.Dir(p), err
}

func (sc *scope) shortHost() (string, error) {
	h, err := known(sc.facts.HostName, "the host name")
	h, _, _ = strings.Cut(h, ".")
	return h, err
}

// slicePath is the control group of the unit's slice as far as the files have named it.
func (sc *scope) slicePath() string {
	if p := unit.Name(sc.slice).SlicePath(); sc.slice != "" && p != "" {
		return sc.facts.CgroupRoot + "/" + p
	}
	return sc.facts.CgroupRoot
}
