package handover

import (
	"encoding/binary"
	"errors"
	"flag"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/state/record"
)

var update = flag.Bool("update", false, "write the fixture of the present format anew")

// full has every field set.
func full() *State {
	fd := func(key string, n int) FD {
		return FD{Key: key, FD: n, Dev: 7, Ino: uint64(n) * 100, Kind: unix.S_IFSOCK}
	}
	return &State{
		Version: "1.0",
		Known: Known{
			Reexecs: 3, Generation: 4, Lost: 1, Behind: true, SignalID: 4, Bursts: 2,
			LastCause: fdstore.CauseCrash, LastExit: fdstore.Exit{ID: 1, PID: 70, Code: 1, Status: 2},
			Intent:  fdstore.Shutdown{Verb: fdstore.VerbReboot, Argument: "x"},
			Outcome: fdstore.Upgrade{ID: 8, Target: fdstore.TargetCore, Result: fdstore.ResultRolledBack, From: "1", To: "2", Reason: "it died"},
		},
		Core: Core{
			KnownCore: KnownCore{
				PID: 77, Version: 2, Hello: true, Turned: true, Welcomed: true, Complete: true,
				Bad: 3, Unsent: []string{"a/0", "b/1"}, Stored: 9, Deaf: true, Healthy: true,
			},
			KillAt: 1, Started: 2, Results: [][]byte{{1}, {2, 3}}, Conn: fd("channel", 5), Words: fd("last words", 11),
		},
		Deaths: []int64{5, 0, 6}, Fails: 2, StartAt: 8, Rescue: Rescue{Stage: 1, PID: 9, Next: 1, Started: 10},
		FDs: []FD{fd("a.socket/0", 6), fd("notify", 7)},
		Exits: []Exit{
			{Exit: fdstore.Exit{ID: 5, PID: 90, StartTime: 8, Session: 90, Code: 2, Status: 9, Cgroup: "/a"}, Wanted: true, Sent: true},
			{Exit: fdstore.Exit{ID: 6, PID: 91}},
		},
		NextExit: 7, Registered: []Process{{PID: 100, Start: 5}, {PID: 101}},
		Pending: []Signal{{Number: 15, ID: 3, Sent: true, Verb: fdstore.VerbReboot, Due: 4}, {Number: 1, ID: 4}},
		BurstAt: 11, Due: 12,
		Running: Binary{File: fd("running", 8), Path: "/core", Version: "1"}, Previous: Binary{File: fd("previous", 9), Path: "/old", Version: "0", Deadline: 4},
		Installed: FD{Dev: 7, Ino: 5}, Own: fd("own program", 10),
	}
}

// The fixture is what an init of the first version writes: each later one reads it.
func TestFixture(t *testing.T) {
	name := filepath.Join("testdata", "state-1")
	if *update {
		if err := os.WriteFile(name, full().Encode(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Decode(b)
	if err != nil || !reflect.DeepEqual(s, full()) {
		t.Errorf("Decode(%s) = %+v, %v", name, s, err)
	}
}

// seal puts the header before fields.
func seal(format uint32, fields []byte) []byte {
	b := append([]byte(magic), make([]byte, headerSize-len(magic))...)
	binary.LittleEndian.PutUint32(b[8:], format)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(fields)))
	binary.LittleEndian.PutUint32(b[16:], crc32.Checksum(fields, crc32.MakeTable(crc32.Castagnoli)))
	return append(b, fields...)
}

// What a later version adds is kept and handed on, at both levels; a later format is refused.
func TestOlderReader(t *testing.T) {
	var e record.Encoder
	e.Raw(full().Encode()[headerSize:])
	e.String(1000, "of the future")
	e.Message(4, func(e *record.Encoder) { e.Uint(1001, 5) })
	newer := append([]byte(nil), e.Data()...)
	s, err := Decode(seal(Format, newer))
	if err != nil {
		t.Fatal(err)
	}
	again := string((&State{Known: s.Known, Core: Core{KnownCore: s.Core.KnownCore}}).Encode())
	if !strings.Contains(again, "of the future") || len(s.Core.unknown) == 0 {
		t.Errorf("unknown fields are lost: %q", again)
	}
	var format *FormatError
	if _, err := Decode(seal(Format+1, newer)); !errors.As(err, &format) || format.Have != Format+1 {
		t.Errorf("Decode of a newer format = %v", err)
	}
}

func TestDamage(t *testing.T) {
	b := full().Encode()
	for i := range b {
		if _, err := Decode(b[:i]); err == nil {
			t.Fatalf("the first %d of %d bytes are taken for a state", i, len(b))
		}
		b[i] ^= 1
		if _, err := Decode(b); err == nil {
			t.Fatalf("a flipped bit in byte %d is not noticed", i)
		}
		b[i] ^= 1
	}
}

func TestBounds(t *testing.T) {
	var e record.Encoder
	for range maxCount + 1 {
		e.Message(14, func(e *record.Encoder) { e.Int(1, 5) })
	}
	if _, err := Decode(seal(Format, e.Data())); err != ErrBounds {
		t.Errorf("Decode of too many processes = %v; want ErrBounds", err)
	}
}

func TestCheckNoticesAnotherFile(t *testing.T) {
	s := &State{}
	for _, key := range []string{"a", "b"} {
		fd, err := unix.MemfdCreate(key, unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		f, err := Identify(key, fd)
		if err != nil {
			t.Fatal(err)
		}
		s.FDs = append(s.FDs, f)
	}
	if err := s.Check(); err != nil {
		t.Fatalf("Check() = %v", err)
	}
	was := s.FDs[0].FD
	s.FDs[0].FD = s.FDs[1].FD
	var bad *FDError
	if err := s.Check(); !errors.As(err, &bad) || bad.Err != unix.ESTALE {
		t.Errorf("Check() of another file = %v; want ESTALE", err)
	}
	s.FDs[0] = s.FDs[1]
	if err := s.Check(); !errors.As(err, &bad) {
		t.Errorf("Check() of one descriptor twice = %v", err)
	}
	s.FDs[0].FD = was + 1000
	if err := s.Check(); !errors.As(err, &bad) || bad.Err != unix.EBADF {
		t.Errorf("Check() of a closed one = %v; want EBADF", err)
	}
}

func TestMemory(t *testing.T) {
	fd, err := full().Write()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if s, err := Read(fd); err != nil || !reflect.DeepEqual(s, full()) {
		t.Errorf("Read() = %+v, %v", s, err)
	}
	if _, err := unix.Write(fd, []byte("x")); err == nil {
		t.Error("the state can be changed")
	}
	report, err := NewReport()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(report)
	if _, _, ok := ReadReport(report); ok {
		t.Error("an empty report counts")
	}
	for _, problem := range []error{nil, errors.New(strings.Repeat("long ", 1000))} {
		if err := Report(report, "7", problem); err != nil {
			t.Fatal(err)
		}
		version, text, ok := ReadReport(report)
		if !ok || (text == "") != (problem == nil) || (version == "7") != (problem == nil) {
			t.Errorf("ReadReport() = %q, %q, %v after %v", version, text, ok, problem)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(full().Encode()[headerSize:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, fields []byte) {
		s, err := Decode(seal(Format, fields))
		if err != nil {
			return
		}
		b := s.Encode()
		again, err := Decode(b)
		if err != nil {
			t.Fatalf("Decode(Encode()) = %v", err)
		}
		if string(again.Encode()) != string(b) {
			t.Fatal("two encodings differ")
		}
	})
}
