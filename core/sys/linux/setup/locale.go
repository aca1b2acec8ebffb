package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// DefaultLocale is systemd's when nothing is configured.
const DefaultLocale = "LANG=C.UTF-8"

// Locale is the environment of /etc/locale.conf, or of Debian's /etc/default/locale where
// that is missing; locale.* of the kernel command line comes before both. Only the variables
// of locale(7) are taken. An error says that a file cannot be used; the result is then what
// the rest amounts to.
func Locale(m *Machine) ([]string, error) {
	var env []string
	var bad error
	for _, path := range [...]string{"/etc/locale.conf", "/etc/default/locale"} {
		b, err := readFile(m.path(path))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			env, err = ParseLocale(b)
		}
		if err != nil {
			bad = errors.Join(bad, fmt.Errorf("cannot read locale from %s: %w", path, err))
			continue
		}
		break
	}
	for _, name := range localeNames {
		if v := m.word("locale." + name); name != "LC_ALL" && validLocale(v) {
			env = execspec.MergeEnv(env, []string{name + "=" + v})
		}
	}
	if len(env) == 0 {
		env = []string{DefaultLocale}
	}
	return env, bad
}

var localeNames = [...]string{"LANG", "LANGUAGE", "LC_CTYPE", "LC_NUMERIC", "LC_TIME", "LC_COLLATE", "LC_MONETARY",
	"LC_MESSAGES", "LC_PAPER", "LC_NAME", "LC_ADDRESS", "LC_TELEPHONE", "LC_MEASUREMENT", "LC_IDENTIFICATION", "LC_ALL"}

// ParseLocale reads a locale.conf(5) file. LC_ALL is left out, as systemd does: it would
// override what users set.
func ParseLocale(b []byte) ([]string, error) {
	all, _, err := execspec.ParseEnvironmentFile(b)
	if err != nil {
		return nil, err
	}
	var env []string
	for _, kv := range all {
		name, value, _ := strings.Cut(kv, "=")
		for _, n := range localeNames {
			if n == name && name != "LC_ALL" && validLocale(value) {
				env = append(env, kv)
			}
		}
	}
	return env, nil
}

// validLocale: the names of locales, and LANGUAGE's lists of them; never a path upwards.
func validLocale(s string) bool {
	if s == "" || len(s) > 128 || strings.Contains(s, "..") {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-.@:", c) >= 0) {
			return false
		}
	}
	return true
}
