package keep

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

func exit(pid int) fdstore.Exit { return fdstore.Exit{PID: pid, StartTime: uint64(pid) * 10} }

// send takes all that is to be sent.
func send(l *Exits) (pids []int) {
	for r := l.Next(); r != nil; r = l.Next() {
		pids = append(pids, r.Exit.PID)
		l.MarkSent(r)
	}
	return pids
}

func TestExitsAreSentOnceAndAgainToTheNextCore(t *testing.T) {
	l := NewExits(8)
	for pid := 1; pid <= 8; pid++ {
		if !l.Room() {
			t.Fatalf("no room for exit %d of 8", pid)
		}
		l.Add(exit(pid), true)
	}
	if l.Room() {
		t.Error("room for a ninth exit")
	}
	if got := fmt.Sprint(send(l)); got != "[1 2 3 4 5 6 7 8]" || l.Waiting() != 8 {
		t.Errorf("sent %s, %d waiting", got, l.Waiting())
	}
	l.Ack(3)
	l.Ack(3)
	l.Ack(77)
	l.Ack(0)
	if l.Waiting() != 7 || !l.Room() {
		t.Errorf("after one ack: %d waiting, room %v; want 7, true", l.Waiting(), l.Room())
	}
	if e := l.Add(exit(9), true); e.ID != 9 {
		t.Errorf("id %d after a hole; want 9", e.ID)
	}
	if got := fmt.Sprint(send(l)); got != "[9]" {
		t.Errorf("sent %s; want only the new one", got)
	}
	l.Resend()
	if got := fmt.Sprint(send(l)); got != "[1 2 4 5 6 7 8 9]" {
		t.Errorf("sent %s to the next core", got)
	}
}

func TestAckOfWhatWasNotSentIsIgnored(t *testing.T) {
	l := NewExits(4)
	l.Add(exit(1), true)
	l.Ack(1)
	if got := fmt.Sprint(send(l)); got != "[1]" {
		t.Errorf("sent %s; want [1]: no core can know that id", got)
	}
}

func TestUnwantedAreKeptForAWhile(t *testing.T) {
	l := NewExits(16)
	for pid := 1; pid <= 100; pid++ {
		if !l.Room() {
			t.Fatal("unwanted exits take all room")
		}
		l.Add(exit(pid), false)
	}
	if got := send(l); got != nil {
		t.Errorf("sent %v; want none", got)
	}
	for pid, want := range map[int]bool{100: true, 97: true, 96: false, 1: false} {
		if got := l.Want(pid, uint64(pid)*10); got != want {
			t.Errorf("Want(%d) = %v; want %v", pid, got, want)
		}
	}
	if l.Want(99, 7) {
		t.Error("Want found another process with the same pid")
	}
	if got := fmt.Sprint(send(l)); got != "[97 100]" {
		t.Errorf("sent %s; want [97 100]", got)
	}
}

func TestWantAll(t *testing.T) {
	l := NewExits(16)
	for pid := 1; pid <= 4; pid++ {
		l.Add(exit(pid), pid%2 == 0)
	}
	if got := fmt.Sprint(send(l)); got != "[2 4]" {
		t.Errorf("sent %s; want [2 4]", got)
	}
	l.WantAll()
	if got := fmt.Sprint(send(l)); got != "[1 3]" {
		t.Errorf("sent %s; want the rest", got)
	}
}

// Random use against a plain model: nothing wanted is ever lost or doubled.
func TestExitsAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		l := NewExits(4 + rng.IntN(30))
		open := map[uint64]bool{} // wanted, unacknowledged; true: sent
		for step := range 2000 {
			switch rng.IntN(6) {
			case 0, 1:
				if l.Room() {
					wanted := rng.IntN(3) > 0
					if e := l.Add(exit(step+1), wanted); wanted {
						open[e.ID] = false
					}
				} else if len(open) < l.size {
					t.Fatalf("seed %d: no room with %d of %d open", seed, len(open), l.size)
				}
			case 2:
				if r := l.Next(); r != nil {
					if sent, ok := open[r.Exit.ID]; !ok || sent {
						t.Fatalf("seed %d: Next gave %d, open %v", seed, r.Exit.ID, open)
					}
					open[r.Exit.ID] = true
					l.MarkSent(r)
				} else {
					for id, sent := range open {
						if !sent {
							t.Fatalf("seed %d: exit %d is not offered", seed, id)
						}
					}
				}
			case 3, 4:
				for id, sent := range open {
					if sent {
						l.Ack(id)
						delete(open, id)
						break
					}
				}
			case 5:
				if rng.IntN(20) == 0 {
					l.Resend()
					for id := range open {
						open[id] = false
					}
				}
			}
			waiting := 0
			for _, sent := range open {
				if sent {
					waiting++
				}
			}
			if l.Waiting() != waiting {
				t.Fatalf("seed %d: Waiting() = %d; want %d", seed, l.Waiting(), waiting)
			}
		}
	}
}

func TestFDs(t *testing.T) {
	s := NewFDs(2)
	open := func() int {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) // is closed at once
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	closed := func(fd int) bool {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		return err == unix.EBADF
	}
	a, b := open(), open()
	if s.Put("x/1", a) != 0 || s.Put("x/2", b) != 0 {
		t.Fatal("cannot put")
	}
	c := open()
	if e := s.Put("x/3", c); e != unix.ENOSPC || !closed(c) {
		t.Errorf("third put: %v, closed %v; want ENOSPC, closed", e, closed(c))
	}
	d := open()
	if e := s.Put("x/1", d); e != 0 || (!closed(a) && a != d) {
		t.Errorf("replacing: %v; the old one closed: %v", e, closed(a))
	}
	if e := s.Put("y", -1); e != unix.EMFILE {
		t.Errorf("put of a lost descriptor: %v; want EMFILE", e)
	}
	if got := fmt.Sprint(s.Keys()); got != "[x/1 x/2]" {
		t.Errorf("Keys() = %s", got)
	}
	if e := s.DropPrefix("z"); e != unix.ENOENT {
		t.Errorf("DropPrefix(z) = %v; want ENOENT", e)
	}
	if e := s.DropPrefix("x/"); e != 0 || len(s.Keys()) != 0 || !closed(b) || !closed(d) {
		t.Errorf("DropPrefix(x/) = %v, keys %v", e, s.Keys())
	}
}

// What may have to wait is closed beside the caller, and the queue empties.
func TestCloserEmptiesItsQueue(t *testing.T) {
	var c Closer
	var fds []int
	for range 100 {
		fd, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	for _, fd := range fds {
		c.Close(fd)
	}
	c.Close(-1)
	for deadline := time.Now().Add(10 * time.Second); c.Backlog() > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors still wait", c.Backlog())
		}
		_, _ = unix.Poll(nil, 1)
	}
}

func TestDoorsAndCrashes(t *testing.T) {
	s := NewFDs(20)
	socket := func() int {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.Put("door/file", null)
	s.Put("other", socket())
	for i := range MaxDoors + 2 {
		s.Put(fmt.Sprint("door/", i), socket())
	}
	if got := len(s.Doors()); got != MaxDoors {
		t.Errorf("%d doors; want %d", got, MaxDoors)
	}
	first, _ := s.Get("door/0")
	if s.Drop("door/0"); len(s.Doors()) != MaxDoors-1 || slices.Contains(s.Doors(), first) {
		t.Errorf("doors after the first one is dropped: %v", s.Doors())
	}
	s.DropPrefix("door/")
	if len(s.Doors()) != 0 {
		t.Errorf("doors after all are dropped: %v", s.Doors())
	}
	for g := uint64(8); g < 13; g++ {
		fd, err := NewLastWords()
		if err != nil {
			t.Fatal(err)
		}
		if errno := s.KeepCrash(fdstore.Crash{Generation: g}, fd); errno != 0 {
			t.Fatal(errno)
		}
	}
	if errno := s.DropPrefix("cr"); errno != unix.ENOENT {
		t.Errorf("DropPrefix of init's own = %v; want ENOENT", errno)
	}
	if got := fmt.Sprint(s.Keys()); got != "[crash/10/0/0/0/0/0 crash/11/0/0/0/0/0 crash/12/0/0/0/0/0 other]" {
		t.Errorf("kept: %s", got)
	}
}

// Registered ones have room whatever the others take, and give it back.
func TestRegisteredExitsAreNeverRefused(t *testing.T) {
	l := NewExits(16)
	for pid := 1; l.Room(); pid++ {
		l.Add(exit(pid), true)
	}
	for pid := 1000; pid < 3000; pid++ {
		l.AddRegistered(exit(pid))
		if l.Room() {
			t.Fatal("a registered exit made room for another")
		}
	}
	if got := send(l); len(got) != 16+2000 || got[16] != 1000 || l.Registered() != 2000 {
		t.Fatalf("sent %d, %d of registered processes; want 2016, 2000", len(got), l.Registered())
	}
	m := NewExits(16) // of the next program
	m.Restore(l.All())
	if m.Registered() != 2000 || m.Waiting() != 2016 || m.Room() || m.Add(exit(1), true).ID != 2017 {
		t.Errorf("restored: %d of registered processes, %d waiting, room %v", m.Registered(), m.Waiting(), m.Room())
	}
	for id := uint64(2016); id > 0; id-- {
		l.Ack(id)
	}
	if l.Registered() != 0 || l.Waiting() != 0 || !l.Room() || cap(l.list) != 32 {
		t.Errorf("after all acks: %d registered, %d waiting, room for %d", l.Registered(), l.Waiting(), cap(l.list))
	}
	l.Add(exit(1), false)
	if !l.Want(1, 10) || fmt.Sprint(send(l)) != "[1]" {
		t.Error("the log is not usable after it shrank")
	}
}
