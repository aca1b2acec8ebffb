package cli

import (
	"fmt"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// options are systemctl's, as far as the commands use them.
type options struct {
	all, noBlock, wait, quiet, value, json, noLegend, help, version bool

	strict bool // verify
	root   string
	format string

	unitPath []string

	force   int
	jobMode string
	signal  string
	whom    string
	socket  string
	props   []string
	types   []string
	states  []string
}

const optionHelp = `  -a --all              also show inactive units and empty properties
  -t --type=KIND,...    only units of these kinds
     --state=STATE,...  only units in these states (load, active or sub)
     --failed           the same as --state=failed
  -p --property=NAME,.. only these properties
     --value            print values without names
     --json             print JSON (list-units, list-jobs, show, why, crashes, verify)
     --no-legend        print no headers and sums
     --no-block         do not wait until the job has ended
     --wait             wait until the started unit has ended again
     --job-mode=MODE    replace, fail, isolate, replace-irreversibly, flush,
                        ignore-dependencies, ignore-requirements
  -s --signal=SIGNAL    for kill: which signal (SIGTERM)
     --kill-whom=WHOM   for kill: all, main or control
  -f --force            poweroff, reboot, halt: at once, without stopping units
  -q --quiet            print nothing but errors
     --root=DIR         for verify: look at the system in DIR; what it has not got is missing
     --unit-path=DIR:.. for verify: directories of unit files
     --format=FORMAT    for verify: text, json or sarif
     --strict           for verify: fail for warnings, too
     --socket=PATH      the manager's socket
  -h --help, --version
`

// parse takes the options out of args, wherever they stand.
func (o *options) parse(args []string) (rest []string, err error) {
	o.jobMode, o.signal = "replace", "SIGTERM"
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return append(rest, args[i+1:]...), nil
		case strings.HasPrefix(arg, "--"):
			name, value, has := strings.Cut(arg[2:], "=")
			next := func() (string, error) {
				if has {
					return value, nil
				}
				if i++; i >= len(args) {
					return "", fmt.Errorf("option --%s needs a value", name)
				}
				return args[i], nil
			}
			if err := o.long(name, has, next); err != nil {
				return nil, err
			}
		case len(arg) > 1 && arg[0] == '-':
			if i, err = o.short(args, i); err != nil {
				return nil, err
			}
		default:
			rest = append(rest, arg)
		}
	}
	return rest, nil
}

func (o *options) flag(name string) *bool {
	switch name {
	case "all":
		return &o.all
	case "no-block":
		return &o.noBlock
	case "wait":
		return &o.wait
	case "quiet":
		return &o.quiet
	case "value":
		return &o.value
	case "json":
		return &o.json
	case "no-legend":
		return &o.noLegend
	case "help":
		return &o.help
	case "version":
		return &o.version
	case "strict":
		return &o.strict
	}
	return nil
}

func (o *options) long(name string, has bool, next func() (string, error)) error {
	switch name {
	case "force":
		o.force++
		return nil
	case "failed":
		o.states = append(o.states, "failed")
		return nil
	case "no-pager", "full", "plain", "system", "no-wall", "no-ask-password":
		return nil // what they ask for is always so
	}
	if p := o.flag(name); p != nil {
		if has && name != "json" {
			return fmt.Errorf("option --%s takes no value", name)
		}
		*p = true
		return nil
	}
	set := o.setter(name)
	if set == nil {
		return fmt.Errorf("unknown option --%s; see sctl --help", name)
	}
	v, err := next()
	if err != nil {
		return err
	}
	return set(v)
}

// setter finds what takes the value of an option; nil when there is no such option.
func (o *options) setter(name string) func(string) error {
	text := func(p *string) func(string) error {
		return func(v string) error { *p = v; return nil }
	}
	list := func(p *[]string) func(string) error {
		return func(v string) error { *p = append(*p, strings.Split(v, ",")...); return nil }
	}
	switch name {
	case "job-mode":
		return func(v string) error {
			if _, ok := unit.ParseJobMode(v); !ok {
				return fmt.Errorf("unknown job mode %q; see sctl --help", v)
			}
			o.jobMode = v
			return nil
		}
	case "signal":
		return text(&o.signal)
	case "kill-whom", "kill-who":
		return text(&o.whom)
	case "socket":
		return text(&o.socket)
	case "root":
		return text(&o.root)
	case "format":
		return text(&o.format)
	case "unit-path":
		return func(v string) error { o.unitPath = append(o.unitPath, strings.Split(v, ":")...); return nil }
	case "property":
		return list(&o.props)
	case "type":
		return list(&o.types)
	case "state":
		return list(&o.states)
	}
	return nil
}

// short handles args[i], a group of one-letter options, and returns the index of the last one used.
func (o *options) short(args []string, i int) (int, error) {
	for letters := args[i][1:]; letters != ""; letters = letters[1:] {
		switch letters[0] {
		case 'a':
			o.all = true
		case 'q':
			o.quiet = true
		case 'f':
			o.force++
		case 'h':
			o.help = true
		case 'l':
		case 'p', 't', 's':
			name := map[byte]string{'p': "property", 't': "type", 's': "signal"}[letters[0]]
			value := letters[1:]
			if value == "" {
				if i++; i >= len(args) {
					return i, fmt.Errorf("option -%c needs a value", letters[0])
				}
				value = args[i]
			}
			return i, o.setter(name)(value)
		default:
			return i, fmt.Errorf("unknown option -%c; see sctl --help", letters[0])
		}
	}
	return i, nil
}

// unitName completes what a user typed: a path names a mount or device, a bare word a service. What
// cannot be a name is left as it is: the manager says what is wrong with it.
func unitName(s string) string {
	if strings.HasPrefix(s, "/") {
		kind := unit.KindMount
		if strings.HasPrefix(s, "/dev/") {
			kind = unit.KindDevice
		}
		escaped, err := unit.PathEscape(s)
		if err != nil {
			return s
		}
		return escaped + "." + string(kind)
	}
	if !strings.Contains(s, ".") || isBareDotted(s) {
		return s + ".service"
	}
	return s
}

// isBareDotted says that the part after the last dot is no kind of unit.
func isBareDotted(s string) bool {
	switch unit.Name(s).Kind() {
	case unit.KindService, unit.KindSocket, unit.KindTarget, unit.KindSlice, unit.KindScope, unit.KindMount,
		unit.KindAutomount, unit.KindSwap, unit.KindPath, unit.KindTimer, unit.KindDevice:
		return false
	}
	return true
}

func isPattern(s string) bool { return strings.ContainsAny(s, "*?[") }
