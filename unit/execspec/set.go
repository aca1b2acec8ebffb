package execspec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// maxList bounds every list that assignments may grow.
const maxList = 4096

func boolKey[T any](section, name, def, doc string, field func(*T) *bool) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Syntax: "boolean", Default: def, Doc: doc},
		func(c *T, v string) error {
			b, err := unit.ParseBool(v)
			if err == nil {
				*field(c) = b
			}
			return err
		})
}

func intKey[T any](section, name, syntax, doc string, lo, hi int, set func(*T, int)) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Syntax: syntax, Doc: doc}, func(c *T, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < lo || n > hi {
			return fmt.Errorf("%q is not valid (valid: %d to %d)", v, lo, hi)
		}
		set(c, n)
		return nil
	})
}

func wordKey[T any](section, name, def, doc string, words []string, set func(*T, int)) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Syntax: strings.TrimPrefix(strings.Join(words, "|"), "|"), Default: def, Doc: doc},
		func(c *T, v string) error {
			i := slices.Index(words, v)
			if i < 0 {
				return fmt.Errorf("%q is not valid (valid: %s)", v, strings.Join(words, ", "))
			}
			set(c, i)
			return nil
		})
}

func textKey[T any](section, name, syntax, doc string, field func(*T) *string) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Form: unit.FormText, Syntax: syntax, Doc: doc},
		func(c *T, v string) error {
			*field(c) = v
			return nil
		})
}

// pathKey is an absolute path; empty resets.
func pathKey[T any](section, name, doc string, field func(*T) *string) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Form: unit.FormText, Syntax: "absolute path", Doc: doc},
		func(c *T, v string) error {
			if v == "" {
				*field(c) = ""
				return nil
			}
			p, err := unit.ParsePath(v)
			if err == nil {
				*field(c) = p
			}
			return err
		})
}

func setMode(m *uint32, v string) error {
	n, err := unit.ParseMode(v)
	if err == nil {
		*m = n
	}
	return err
}

// appendWords adds the words of v to list; empty resets. ok judges one word, rejected ones
// are ignored with a warning that says what would be valid.
func appendWords(list *[]string, v, valid string, ok func(string) bool) error {
	if v == "" {
		*list = nil
		return nil
	}
	words, err := unit.SplitWords(v)
	if err != nil {
		return err
	}
	if len(*list)+len(words) > maxList {
		return fmt.Errorf("more than %d entries", maxList)
	}
	out := slices.Clone(*list)
	var bad []string
	for _, w := range words {
		if ok(w) {
			out = append(out, w)
		} else {
			bad = append(bad, w)
		}
	}
	*list = out
	if bad != nil {
		return &unit.Partial{Text: fmt.Sprintf("%q ignored (valid: %s)", bad, valid)}
	}
	return nil
}
