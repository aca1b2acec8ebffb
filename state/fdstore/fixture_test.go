package fdstore

import (
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the fixture of the present version anew")

// The fixture is each message as version 2 sends it: later versions read them, and what both
// versions have is the same in both.
func TestFixture(t *testing.T) {
	name := filepath.Join("testdata", "messages-2")
	if *update {
		var b strings.Builder
		for _, m := range samples() {
			p, err := Append(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(hex.EncodeToString(p) + "\n")
		}
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text))
	for i, m := range samples() {
		if i >= len(lines) {
			t.Fatalf("kind %d is not in the fixture; if it is new: go test -run Fixture . -update", m.Kind)
		}
		p, err := hex.DecodeString(lines[i])
		if err != nil {
			t.Fatal(err)
		}
		m.FD = -1
		if got, err := Decode(p); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("Decode(%s) = %+v, %v; want %+v", lines[i], got, err, m)
		}
	}
}

// What an older program makes of a newer one's messages: a kind it does not know is told apart
// from damage, and fields behind those it knows are skipped.
func TestFromANewerPeer(t *testing.T) {
	for _, m := range samples() {
		p, err := Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind >= firstOpen && m.Kind <= KindAbout {
			m.FD = -1
			if got, err := Decode(append(p, "and more"...)); err != nil || !reflect.DeepEqual(got, m) {
				t.Errorf("Decode of kind %d with more fields = %+v, %v", m.Kind, got, err)
			}
		}
		p[3] = 200
		if _, err := Decode(p); !errors.Is(err, ErrUnknownKind) {
			t.Errorf("Decode of an unknown kind = %v", err)
		}
	}
}
