package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/durable"
	"github.com/sysmaster-go/sysmaster/unit"
)

const (
	durableDir = "/var/lib/sysmaster"
	bootKey    = "boot"
)

// bootRecord is what is kept of boots. A boot counts from its first core on until it is good: until its first
// transaction has ended and what that asked for is up. What fails beside that makes a machine degraded, and its boot not bad.
// One that was taken down before is a failed one, too: nobody knows why it was.
type bootRecord struct {
	attempts int    // boots in a row that were not good, this one included until it is
	before   int    // how many of them came before this one
	id       string // of this one
}

// text is the record's stored form: "attempts before id".
func (r bootRecord) text() string { return fmt.Sprintf("%d %d %s\n", r.attempts, r.before, r.id) }

func parseBoots(text string) (r bootRecord, err error) {
	f := strings.Fields(text)
	if len(f) != 3 {
		return r, fmt.Errorf("cannot read the count of boots: %d fields instead of 3", len(f))
	}
	r.id = f[2]
	r.attempts, err = strconv.Atoi(f[0])
	if err == nil {
		r.before, err = strconv.Atoi(f[1])
	}
	if err == nil && (r.attempts < 0 || r.before < 0) {
		err = errors.New("cannot read the count of boots: it is negative")
	}
	return r, err
}

// begun is the record once boot id began: counted once, however many cores it has.
func (r bootRecord) begun(id string) bootRecord {
	if r.id == id {
		return r
	}
	return bootRecord{attempts: r.attempts + 1, before: r.attempts, id: id}
}

// good is the record once the boot was good.
func (r bootRecord) good() bootRecord { return bootRecord{before: r.before, id: r.id} }

// boots counts failed boots across power loss.
type boots struct {
	store *durable.Store
	con   *console
	mu    sync.Mutex
	rec   bootRecord
	retry time.Duration
}

// firstWrite is how long a boot waits for its count to be on disk. A disk that does not answer in time gets it later.
const firstWrite = time.Second

// countBoot counts this boot, before anything of it is done.
func countBoot(con *console) *boots {
	b := &boots{store: durable.Open(state.NewDirFS(durableDir)), con: con, retry: time.Second}
	done := make(chan bool)
	go func() {
		defer close(done)
		var old bootRecord
		text, err := b.store.Get(bootKey)
		if err == nil {
			old, err = parseBoots(string(text))
		}
		if err != nil && !errors.Is(err, durable.ErrNotFound) {
			con.say(unit.LevelWarning, "failed boots are counted from 0 again: "+err.Error(), false)
		}
		b.set(old.begun(bootID()), old)
	}()
	select {
	case <-done:
	case <-time.After(firstWrite):
		con.say(unit.LevelWarning, "cannot count this boot in time: "+durableDir+" does not answer", false)
	}
	return b
}

func (b *boots) set(rec, old bootRecord) {
	b.mu.Lock()
	b.rec = rec
	b.mu.Unlock()
	if rec != old {
		b.written(b.store.Set(bootKey, []byte(rec.text())))
	}
}

// written tries again later, less and less often, until /var can be written to.
func (b *boots) written(err error) {
	if err == nil {
		return
	}
	if b.retry == time.Second { // once
		b.con.say(unit.LevelNotice, "the count of boots is written later: "+err.Error(), false)
	}
	b.retry = min(2*b.retry, time.Minute)
	time.AfterFunc(b.retry, func() {
		if b.store.Pending() > 0 {
			b.written(b.store.Flush())
		}
	})
}

// failed is how many boots in a row failed before this one.
func (b *boots) failed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rec.before
}

// finished takes the end of the first transaction; good: what it asked for is up.
func (b *boots) finished(good bool) {
	b.mu.Lock()
	rec := b.rec
	b.mu.Unlock()
	if good && rec.attempts > 0 {
		go b.set(rec.good(), rec) // the disk may be slow
	}
}

// rescue replaces what is to be started after limit failed boots in a row; 0 is no limit.
func (b *boots) rescue(want unit.Name, limit int) unit.Name {
	n := b.failed()
	if limit <= 0 || n < limit {
		return want
	}
	b.con.say(unit.LevelWarning, fmt.Sprintf("The last %d boots failed: starting rescue.target instead of %s (sysmaster.boot-attempts=%d).", n, want, limit), true)
	return "rescue.target"
}

// bootID tells this boot from all others. The kernel's alone is that of the host in a container.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		id = []byte("unknown")
	}
	stat, err := os.ReadFile("/proc/1/stat")
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if err != nil || len(f) < 20 {
		return strings.TrimSpace(string(id))
	}
	return strings.TrimSpace(string(id)) + "." + f[19] // proc_pid_stat(5): the start time of PID 1
}
