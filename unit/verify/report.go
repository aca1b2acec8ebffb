package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sysmaster-go/sysmaster/unit"
)

func level(s unit.Severity) string {
	if s == unit.Error {
		return "error"
	}
	return "warning"
}

// Add puts what another check found behind what this one did, a cycle that both found once.
func (r *Report) Add(other *Report) {
	r.Units = append(r.Units, other.Units...)
	for _, p := range other.Problems {
		if p.Rule != RuleCycle || !slices.ContainsFunc(r.Problems, func(q Problem) bool { return q.Rule == p.Rule && q.Text == p.Text }) {
			r.Problems = append(r.Problems, p)
		}
	}
}

// Text writes one line for each problem, as compilers do: where, what, and what would be right.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	for _, p := range r.Problems {
		b.WriteString(printable(p.String()) + " [" + level(p.Severity) + ", " + string(p.Rule) + "]\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printable escapes what would command a terminal.
func printable(s string) string {
	bad := func(r rune) bool { return !unicode.IsPrint(r) }
	if strings.IndexFunc(s, bad) < 0 && utf8.ValidString(s) {
		return s
	}
	q := strconv.Quote(s)
	return strings.ReplaceAll(strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`), `\\`, `\`)
}

type jsonPlace struct {
	Unit string `json:"unit,omitempty"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

type jsonProblem struct {
	Rule     Rule   `json:"rule"`
	Severity string `json:"severity"`
	jsonPlace
	Key     string      `json:"key,omitempty"`
	Text    string      `json:"text"`
	Related []jsonPlace `json:"related,omitempty"`
}

func toJSON(p Place) jsonPlace { return jsonPlace{string(p.Unit), p.Pos.File, p.Pos.Line} }

// JSON writes an object with the units that were looked at and the problems.
func (r *Report) JSON(w io.Writer) error {
	out := struct {
		Units    []unit.Name   `json:"units"`
		Problems []jsonProblem `json:"problems"`
	}{r.Units, []jsonProblem{}}
	if out.Units == nil {
		out.Units = []unit.Name{}
	}
	for _, p := range r.Problems {
		j := jsonProblem{Rule: p.Rule, Severity: level(p.Severity), jsonPlace: toJSON(p.Place), Key: p.Key, Text: p.Text}
		for _, q := range p.Related {
			j.Related = append(j.Related, toJSON(q))
		}
		out.Problems = append(out.Problems, j)
	}
	return encode(w, out)
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// The part of SARIF 2.1.0 (OASIS) that a list of places needs.
type (
	sarifText struct {
		Text string `json:"text"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifFile struct {
		URI string `json:"uri"`
	}
	sarifPhysical struct {
		File   sarifFile    `json:"artifactLocation"`
		Region *sarifRegion `json:"region,omitempty"`
	}
	sarifLogical struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
	}
	sarifPlace struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifResult struct {
		Rule    Rule         `json:"ruleId"`
		Level   string       `json:"level"`
		Message sarifText    `json:"message"`
		Places  []sarifPlace `json:"locations"`
		Related []sarifPlace `json:"relatedLocations,omitempty"`
	}
	sarifRule struct {
		ID    Rule      `json:"id"`
		Short sarifText `json:"shortDescription"`
	}
)

func toSARIF(p Place) sarifPlace {
	var out sarifPlace
	if p.Pos.File != "" {
		out.Physical = &sarifPhysical{File: sarifFile{uri(p.Pos.File)}}
		if p.Pos.Line > 0 {
			out.Physical.Region = &sarifRegion{p.Pos.Line}
		}
	}
	if p.Unit != "" {
		out.Logical = []sarifLogical{{string(p.Unit), "unit"}}
	}
	return out
}

// uri escapes what a path may have and a URI reference may not (RFC 3986).
func uri(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c == '/' || c == '.' || c == '-' || c == '_' || c == '~' || c == '@' || c == ':' ||
			'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// SARIF writes a log in the Static Analysis Results Interchange Format 2.1.0; version is that of the program.
func (r *Report) SARIF(w io.Writer, version string) error {
	rules := []sarifRule{}
	for _, x := range Rules() {
		rules = append(rules, sarifRule{x.Rule, sarifText{x.Doc}})
	}
	results := []sarifResult{}
	for _, p := range r.Problems {
		res := sarifResult{Rule: p.Rule, Level: level(p.Severity), Message: sarifText{p.Text}, Places: []sarifPlace{toSARIF(p.Place)}}
		if p.Key != "" {
			res.Message.Text = p.Key + ": " + p.Text
		}
		for _, q := range p.Related {
			res.Related = append(res.Related, toSARIF(q))
		}
		results = append(results, res)
	}
	type object = map[string]any
	return encode(w, object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []object{{
			"tool":    object{"driver": object{"name": "sctl verify", "version": version, "rules": rules}},
			"results": results,
		}},
	})
}
