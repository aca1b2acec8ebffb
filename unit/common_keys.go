package unit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// CommonKeys are the keys of [Unit] of systemd 252 (man systemd.unit(5)), bound to *Common.
// Dependencies have FormDeps or FormPaths and end in Spec.Deps. Names that systemd only keeps
// for old files are included and say so in Doc.
func CommonKeys() []Key {
	const section = "Unit"
	keys := []Key{
		Bind(Key{Section: section, Name: "Description", Form: FormText, Syntax: "text",
			Doc: "One line that names the unit for people."}, setText(func(c *Common) *string { return &c.Description })),
		Bind(Key{Section: section, Name: "Documentation", Form: FormWords, Syntax: "list of URIs: http:, https:, file:, info:, man:",
			Doc: "Where the unit is documented."}, setDocumentation),
		Bind(Key{Section: section, Name: "SourcePath", Form: FormText, Syntax: "absolute path",
			Doc: "The file from which the unit was generated."}, setPath(func(c *Common) *string { return &c.SourcePath })),
		Bind(Key{Section: section, Name: "CollectMode", Syntax: "inactive|inactive-or-failed", Default: "inactive",
			Support: Inert, Doc: "When an unused unit is forgotten; no unit is, yet."}, setCollectMode),
		Bind(Key{Section: section, Name: "OnFailureJobMode", Syntax: jobModeSyntax, Default: "replace",
			Doc: "Job mode for the units of OnFailure=."}, setJobMode(func(c *Common) *JobMode { return &c.OnFailureJobMode })),
		Bind(Key{Section: section, Name: "OnSuccessJobMode", Syntax: jobModeSyntax, Default: "fail",
			Doc: "Job mode for the units of OnSuccess=."}, setJobMode(func(c *Common) *JobMode { return &c.OnSuccessJobMode })),
		Bind(Key{Section: section, Name: "OnFailureIsolate", Syntax: "boolean",
			Doc: "Old name: yes is OnFailureJobMode=isolate, no is replace."}, setOnFailureIsolate),
		Bind(Key{Section: section, Name: "JobTimeoutSec", Syntax: timeSyntax, Default: "infinity",
			Doc: "How long a job of the unit may take in all; 0 and infinity: for ever."}, setJobTimeout),
		Bind(Key{Section: section, Name: "JobRunningTimeoutSec", Syntax: timeSyntax, Default: "infinity",
			Doc: "How long a job of the unit may run once it is no longer waiting."}, setJobRunningTimeout),
		Bind(Key{Section: section, Name: "JobTimeoutAction", Syntax: actionSyntax, Default: "none",
			Doc: "What the machine does when a job times out."}, setAction(func(c *Common) *string { return &c.JobTimeoutAction })),
		Bind(Key{Section: section, Name: "JobTimeoutRebootArgument", Form: FormText, Syntax: "text",
			Doc: "Argument of reboot(2) for JobTimeoutAction=."}, setText(func(c *Common) *string { return &c.JobTimeoutRebootArgument })),
		Bind(Key{Section: section, Name: "SuccessAction", Syntax: actionSyntax, Default: "none",
			Doc: "What the machine does when the unit ends well."}, setAction(func(c *Common) *string { return &c.SuccessAction })),
		Bind(Key{Section: section, Name: "SuccessActionExitStatus", Syntax: exitSyntax,
			Doc: "Exit status for SuccessAction=exit."}, setExitStatus(func(c *Common) *int { return &c.SuccessActionExit })),
		Bind(Key{Section: section, Name: "FailureActionExitStatus", Syntax: exitSyntax,
			Doc: "Exit status for FailureAction=exit."}, setExitStatus(func(c *Common) *int { return &c.FailureActionExit })),
	}
	keys = append(keys, startLimitKeys(section, "StartLimitIntervalSec")...)
	keys = append(keys, startLimitIntervalKey(section, "StartLimitInterval", "Old name of StartLimitIntervalSec=."))
	keys = append(keys, commonFlags(section)...)
	keys = append(keys, relationKeys(section)...)
	return append(keys, conditionKeys(section)...)
}

// ServiceCompatKeys are the keys that systemd accepts in [Service] because old files have
// them there; they are bound to *Common and mean what their namesakes in [Unit] mean.
func ServiceCompatKeys() []Key { return startLimitKeys("Service", "StartLimitInterval") }

// InstallKeys are the keys of [Install]. They matter to enable and disable only; a loaded
// Spec keeps them as settings, as written.
func InstallKeys() []Key {
	return []Key{
		{Section: "Install", Name: "Alias", Syntax: "list of unit names", Doc: "Further names that enable gives to the unit."},
		{Section: "Install", Name: "WantedBy", Syntax: "list of unit names", Doc: "Units that want this one once it is enabled."},
		{Section: "Install", Name: "RequiredBy", Syntax: "list of unit names", Doc: "Units that require this one once it is enabled."},
		{Section: "Install", Name: "Also", Syntax: "list of unit names", Doc: "Units that are enabled and disabled together with this one."},
		{Section: "Install", Name: "DefaultInstance", Syntax: "instance name", Doc: "The instance that enable takes when a template is named."},
	}
}

const (
	timeSyntax    = "time span in seconds"
	actionSyntax  = "none|reboot|reboot-force|reboot-immediate|poweroff|poweroff-force|poweroff-immediate|exit|exit-force"
	jobModeSyntax = "fail|replace|replace-irreversibly|isolate|flush|ignore-dependencies|ignore-requirements"
	exitSyntax    = "0 to 255"
)

// startLimitKeys are those keys of [Unit] that began their life in [Service].
func startLimitKeys(section, interval string) []Key {
	return []Key{
		startLimitIntervalKey(section, interval, "The window in which starts are counted; 0: no limit."),
		Bind(Key{Section: section, Name: "StartLimitBurst", Syntax: "unsigned number", Default: "5",
			Doc: "How many starts the window allows."}, setStartLimitBurst),
		Bind(Key{Section: section, Name: "StartLimitAction", Syntax: actionSyntax, Default: "none",
			Doc: "What the machine does when the start limit is hit."}, setAction(func(c *Common) *string { return &c.StartLimitAction })),
		Bind(Key{Section: section, Name: "FailureAction", Syntax: actionSyntax, Default: "none",
			Doc: "What the machine does when the unit fails."}, setAction(func(c *Common) *string { return &c.FailureAction })),
		Bind(Key{Section: section, Name: "RebootArgument", Form: FormText, Syntax: "text",
			Doc: "Argument of reboot(2) for the actions that reboot."}, setText(func(c *Common) *string { return &c.RebootArgument })),
	}
}

func startLimitIntervalKey(section, name, doc string) Key {
	return Bind(Key{Section: section, Name: name, Syntax: timeSyntax, Default: "10s", Doc: doc},
		func(c *Common, v string) (err error) {
			d, err := ParseTimespan(v)
			if err == nil {
				c.StartLimitInterval = d
			}
			return err
		})
}

func commonFlags(section string) []Key {
	flag := func(name, def, doc string, field func(*Common) *bool) Key {
		return Bind(Key{Section: section, Name: name, Syntax: "boolean", Default: def, Doc: doc},
			func(c *Common, v string) error {
				b, err := ParseBool(v)
				if err == nil {
					*field(c) = b
				}
				return err
			})
	}
	return []Key{
		flag("DefaultDependencies", "yes", "Whether the dependencies that the kind implies by default are added.", func(c *Common) *bool { return &c.DefaultDependencies }),
		flag("RefuseManualStart", "no", "Only dependencies may start the unit.", func(c *Common) *bool { return &c.RefuseManualStart }),
		flag("RefuseManualStop", "no", "Only dependencies may stop the unit.", func(c *Common) *bool { return &c.RefuseManualStop }),
		flag("AllowIsolate", "no", "The unit may be isolated.", func(c *Common) *bool { return &c.AllowIsolate }),
		flag("IgnoreOnIsolate", "no", "The unit stays when another one is isolated.", func(c *Common) *bool { return &c.IgnoreOnIsolate }),
		flag("StopWhenUnneeded", "no", "The unit stops when nothing that is up needs it.", func(c *Common) *bool { return &c.StopWhenUnneeded }),
	}
}

// relationNamesOld are spellings that systemd 252 still accepts.
var relationNamesOld = [...]struct {
	name string
	rel  Relation
}{
	{"BindTo", BindsTo}, {"RequiresOverridable", Requires}, {"RequisiteOverridable", Requisite},
	{"PropagateReloadTo", PropagatesReloadTo}, {"PropagateReloadFrom", ReloadPropagatedFrom},
}

func relationKeys(section string) []Key {
	current := [...]Relation{
		Requires, Requisite, Wants, BindsTo, PartOf, Upholds, Conflicts, Before, After, OnFailure, OnSuccess,
		PropagatesReloadTo, ReloadPropagatedFrom, PropagatesStopTo, StopPropagatedFrom, JoinsNamespaceOf,
	}
	var keys []Key
	for _, r := range current {
		k := Key{Section: section, Name: r.String(), Form: FormDeps, Rel: r, Syntax: "list of unit names",
			Doc: "Units to which this one stands in that relation; lines add up."}
		if r == JoinsNamespaceOf {
			k.Support, k.Doc = Inert, "Units whose namespaces this one shares; settings that make any refuse the start."
		}
		keys = append(keys, k)
	}
	for _, o := range relationNamesOld {
		keys = append(keys, Key{Section: section, Name: o.name, Form: FormDeps, Rel: o.rel, Syntax: "list of unit names",
			Doc: "Old name of " + o.rel.String() + "=."})
	}
	return append(keys, Key{Section: section, Name: "RequiresMountsFor", Form: FormPaths, Rel: RequiresMountsFor,
		Syntax:  "list of absolute paths",
		Support: Inert, Doc: "Paths whose mount units the unit requires and follows; there are no mount units yet."})
}

func setText(field func(*Common) *string) func(*Common, string) error {
	return func(c *Common, v string) error {
		*field(c) = v
		return nil
	}
}

func setPath(field func(*Common) *string) func(*Common, string) error {
	return func(c *Common, v string) (err error) {
		if v != "" {
			if v, err = ParsePath(v); err != nil {
				return err
			}
		}
		*field(c) = v
		return nil
	}
}

func setDocumentation(c *Common, v string) error {
	if v == "" {
		c.Documentation = nil
		return nil
	}
	words, err := SplitWords(v)
	if err != nil {
		return err
	}
	var bad []string
	for _, w := range words {
		if isDocumentation(w) {
			c.Documentation = append(c.Documentation, w)
		} else {
			bad = append(bad, w)
		}
	}
	if bad != nil {
		return &Partial{fmt.Sprintf("%q ignored (valid: URIs with http://, https://, file:/, info:, man:)", bad)}
	}
	return nil
}

func isDocumentation(uri string) bool {
	for _, p := range [...]string{"http://", "https://", "file:/", "info:", "man:"} {
		if rest, ok := strings.CutPrefix(uri, p); ok {
			return rest != "" || p == "file:/"
		}
	}
	return false
}

func setCollectMode(c *Common, v string) error {
	if v != "inactive" && v != "inactive-or-failed" {
		return fmt.Errorf("%q is not a collect mode (valid: inactive, inactive-or-failed)", v)
	}
	c.CollectInactiveOrFailed = v == "inactive-or-failed"
	return nil
}

func setJobMode(field func(*Common) *JobMode) func(*Common, string) error {
	return func(c *Common, v string) error {
		m, ok := ParseJobMode(v)
		if !ok {
			return fmt.Errorf("%q is not a job mode (valid: %s)", v, jobModeSyntax)
		}
		*field(c) = m
		return nil
	}
}

func setOnFailureIsolate(c *Common, v string) error {
	b, err := ParseBool(v)
	switch {
	case err != nil:
		return err
	case b:
		c.OnFailureJobMode = ModeIsolate
	default:
		c.OnFailureJobMode = ModeReplace
	}
	return nil
}

// setJobTimeout also moves JobRunningTimeout, which did not exist when this key was made,
// unless that was set by itself.
func setJobTimeout(c *Common, v string) error {
	d, err := parseTimeout(v)
	if err != nil {
		return err
	}
	c.JobTimeout = d
	if !c.jobRunningTimeoutSet {
		c.JobRunningTimeout = d
	}
	return nil
}

func setJobRunningTimeout(c *Common, v string) error {
	d, err := parseTimeout(v)
	if err == nil {
		c.JobRunningTimeout, c.jobRunningTimeoutSet = d, true
	}
	return err
}

// parseTimeout takes 0 for "never", as all of systemd's older timeouts do.
func parseTimeout(v string) (time.Duration, error) {
	d, err := ParseTimespan(v)
	if err == nil && d == 0 {
		d = Infinity
	}
	return d, err
}

func setStartLimitBurst(c *Common, v string) error {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return fmt.Errorf("%q is not an unsigned number", v)
	}
	c.StartLimitBurst = int(n)
	return nil
}

func setAction(field func(*Common) *string) func(*Common, string) error {
	return func(c *Common, v string) error {
		for a := range strings.SplitSeq(actionSyntax, "|") {
			if a == v {
				*field(c) = v
				return nil
			}
		}
		return fmt.Errorf("%q is not an action (valid: %s)", v, actionSyntax)
	}
}

func setExitStatus(field func(*Common) *int) func(*Common, string) error {
	return func(c *Common, v string) error {
		if v == "" {
			*field(c) = -1
			return nil
		}
		n, err := strconv.ParseUint(v, 10, 8)
		if err != nil {
			return fmt.Errorf("%q is not an exit status (valid: %s)", v, exitSyntax)
		}
		*field(c) = int(n)
		return nil
	}
}
