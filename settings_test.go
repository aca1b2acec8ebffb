package sysmaster_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/service"
	"github.com/sysmaster-go/sysmaster/unit/slice"
	"github.com/sysmaster-go/sysmaster/unit/socket"
	"github.com/sysmaster-go/sysmaster/unit/target"
)

const settingsPage = "docs/settings.md"

const settingsHead = `# Settings of unit files

This page is made of the tables that the loader, ` + "`sctl verify`" + ` and the manager read (package unit, Key); a test compares it.

` + "```sh" + `
go test -run TestSettingsReference . -update    # after a change of a table
` + "```" + `

What is not listed is unknown: it is told with the nearest known spelling, and ignored. Keys and sections that begin with
X- are ignored without a word.

- **acts**: does what systemd's manual says for version 252; where it does not, the text says so.
- **refuses**: asks for protection that is not implemented. A unit that sets it to something else than its default does not start,
  unless the manager was told to go without (` + "`sysmaster.allow-degraded`" + `).
- **inert**: accepted and checked, and without effect.
`

// settings are all keys by the heading under which they are listed: what several kinds share stands once.
func settings() (headings []string, keys map[string][]unit.Key) {
	sections := []string{"Unit", "Install"}
	where := map[string][]string{} // sections of each name in that has the same text
	found := map[string]unit.Key{}
	for _, t := range []unit.Type{service.Type(service.Options{}), socket.Type(), target.Type(), slice.Type()} {
		for _, k := range t.Keys.Keys() {
			id := fmt.Sprint(k.Name, k.Form, k.Rel, k.Syntax, k.Default, k.Doc, k.Support, k.OnError)
			if !slices.Contains(sections, k.Section) {
				sections = append(sections, k.Section)
			}
			if !slices.Contains(where[id], k.Section) {
				where[id] = append(where[id], k.Section)
			}
			found[id] = k
		}
	}
	keys = map[string][]unit.Key{}
	for id, k := range found {
		slices.SortFunc(where[id], func(a, b string) int { return slices.Index(sections, a) - slices.Index(sections, b) })
		h := "[" + strings.Join(where[id], "], [") + "]"
		keys[h] = append(keys[h], k)
	}
	for h := range keys {
		headings = append(headings, h)
		slices.SortFunc(keys[h], func(a, b unit.Key) int { return cmp.Compare(a.Name, b.Name) })
	}
	place := func(h string) int {
		first, _, _ := strings.Cut(strings.Trim(h, "[]"), "]")
		return slices.Index(sections, first)*100 - len(h)
	}
	slices.SortFunc(headings, func(a, b string) int { return cmp.Or(place(a)-place(b), cmp.Compare(a, b)) })
	return headings, keys
}

// syntax is what a key takes.
func syntax(k *unit.Key) string {
	switch k.Form {
	case unit.FormDeps:
		return cmp.Or(k.Syntax, "unit names")
	case unit.FormPaths:
		return cmp.Or(k.Syntax, "absolute paths")
	}
	return k.Syntax
}

func settingsText() string {
	var b strings.Builder
	b.WriteString(settingsHead)
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;")
	headings, keys := settings()
	for _, h := range headings {
		fmt.Fprintf(&b, "\n## %s\n\n| key | | takes | default | |\n|---|---|---|---|---|\n", h)
		for _, k := range keys[h] {
			support := [...]string{unit.Acts: "acts", unit.Protective: "refuses", unit.Inert: "inert"}[k.Support]
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", k.Name, support, cell.Replace(syntax(&k)), cell.Replace(k.Default), cell.Replace(k.Doc))
		}
	}
	return b.String()
}

// TestSettingsReference: the page has every key, as the tables have it, and every key says what it takes and what it does.
func TestSettingsReference(t *testing.T) {
	_, keys := settings()
	for h, list := range keys {
		for i := range list {
			if k := &list[i]; k.Doc == "" || syntax(k) == "" {
				t.Errorf("%s %s has no text, or does not say what it takes", h, k.Name)
			}
		}
	}
	want := settingsText()
	if *update {
		if err := os.WriteFile(settingsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := mustRead(settingsPage); got != want {
		t.Errorf("%s is not what the tables say; run: go test -run TestSettingsReference . -update", settingsPage)
	}
}
