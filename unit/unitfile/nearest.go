package unitfile

import (
	"slices"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// unknownKey says where the key belongs, or what it may have been meant to be.
func (ld *load) unknownKey(a Assignment, pos unit.Pos) {
	if len(ld.spec.Diags) >= diagsMax { // comparing costs more than counting
		ld.more++
		return
	}
	keys := ld.typ.Keys.Keys()
	best, distance := "", 1+len(a.Key)/3
	for i := range keys {
		k := &keys[i]
		if k.Name == a.Key {
			ld.warn(pos, "", "key "+a.Key+" does not belong into section ["+a.Section+"] and is ignored (valid: in section ["+k.Section+"])")
			return
		}
		if k.Section != a.Section {
			continue
		}
		if d := editDistance(a.Key, k.Name, distance); d < distance || d == distance && best == "" {
			best, distance = k.Name, d
		}
	}
	text := "unknown key " + clip(a.Key) + " in section [" + a.Section + "] is ignored"
	if best != "" {
		text += " (did you mean " + best + "=?)"
	} else {
		text += " (valid: the keys of this section, or one that begins with X-)"
	}
	ld.warn(pos, "", text)
}

func (ld *load) nearestSection(name string) string {
	best, distance := "", 1+len(name)/3
	var all []string
	keys := ld.typ.Keys.Keys()
	for i := range keys {
		s := keys[i].Section
		if i > 0 && keys[i-1].Section == s {
			continue
		}
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
		if d := editDistance(name, s, distance); d < distance || d == distance && best == "" {
			best, distance = s, d
		}
	}
	if best != "" {
		return "did you mean [" + best + "]?"
	}
	return "valid: [" + strings.Join(all, "], [") + "]"
}

// editDistance is the number of insertions, deletions and replacements that turn a into b,
// letter case aside; most+1 when it is more than most.
func editDistance(a, b string, most int) int {
	const longest = 64
	if len(a) > longest || len(b) > longest || len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	var rows [2][longest + 1]int
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := range len(a) {
		prev, cur := &rows[i&1], &rows[i&1^1]
		cur[0] = i + 1
		for j := range len(b) {
			cost := 1
			if lower(a[i]) == lower(b[j]) {
				cost = 0
			}
			cur[j+1] = min(prev[j]+cost, prev[j+1]+1, cur[j]+1)
		}
	}
	return min(rows[len(a)&1][len(b)], most+1)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// Nearest gives the candidate that word was probably meant to be, letter case aside; empty if none is near.
func Nearest(word string, candidates []string) string {
	best, distance := "", 1+len(word)/3
	for _, c := range candidates {
		if d := editDistance(word, c, distance); d < distance || d == distance && best == "" {
			best, distance = c, d
		}
	}
	return best
}
