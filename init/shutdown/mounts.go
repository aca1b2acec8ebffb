package shutdown

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/proc"
)

const tableMax = 4 << 20 // bytes of a kernel table that are looked at in one pass

// ParseMounts gives the mount points of /proc/self/mountinfo (proc_pid_mountinfo(5))
// that a shutdown unmounts, the last mounted first: all but the root and the
// kernel's own, which hold no data. Lines that are cut off are left out.
func ParseMounts(table string) []string {
	var points []string
	for {
		line, rest, ok := strings.Cut(table, "\n")
		if !ok {
			break
		}
		table = rest
		fields := strings.SplitN(line, " ", 6)
		if len(fields) < 6 {
			continue
		}
		if point := unescape(fields[4]); !keepMounted(point) {
			points = append(points, point)
		}
	}
	slices.Reverse(points)
	return points
}

func keepMounted(point string) bool {
	if point == "/" || point == "/run" || !strings.HasPrefix(point, "/") {
		return true
	}
	for _, api := range [...]string{"/proc", "/sys", "/dev"} {
		if point == api || strings.HasPrefix(point, api+"/") {
			return true
		}
	}
	return false
}

// ParseSwaps gives the devices and files of /proc/swaps (proc_swaps(5)), the
// last enabled first.
func ParseSwaps(table string) []string {
	var names []string
	for i, line := range strings.Split(table, "\n") {
		name, _, ok := strings.Cut(line, " ")
		if tab := strings.IndexByte(name, '\t'); tab >= 0 {
			name, ok = name[:tab], true
		}
		if i > 0 && ok && strings.HasPrefix(name, "/") {
			names = append(names, unescape(name))
		}
	}
	slices.Reverse(names)
	return names
}

// unescape undoes the kernel's \ooo for blanks and backslashes.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (r *run) table(path string) string {
	for size := 64 << 10; ; size *= 4 {
		b, err := proc.Read(path, make([]byte, size))
		if err != nil && err != unix.ENOENT {
			r.fail("read "+path, err)
		}
		if len(b) < size || size >= tableMax {
			return string(b)
		}
	}
}

func (r *run) swapoff() {
	deadline := time.Now().Add(r.TotalTimeout) // it may have gigabytes to bring back
	for _, name := range ParseSwaps(r.table("/proc/swaps")) {
		err := r.within(max(time.Until(deadline), time.Millisecond), func() error { return swapoff(name) })
		if err != nil {
			r.fail("turn swap on "+name+" off", err)
		}
	}
}

// unmountAll repeats as long as a pass unmounts something: a mount is busy
// while another one, a loop device or an image lies on it.
func (r *run) unmountAll() {
	deadline := time.Now().Add(r.TotalTimeout)
	for {
		progress := false
		busy := make(map[string]bool)
		var named []string
		var last error
		points := ParseMounts(r.table("/proc/self/mountinfo"))
		for _, point := range points {
			if r.hung[point] || busy[point] {
				continue
			}
			if time.Now().After(deadline) {
				r.Say("giving up on unmounting: it took too long")
				return
			}
			if err := r.unmount(point, points); err != nil {
				if busy[point] = true; len(named) < 8 {
					named = append(named, point)
				}
				last = err
			} else {
				progress = true
			}
		}
		if !progress {
			if len(named) > 0 {
				r.fail("unmount "+strings.Join(named, ", "), last)
			}
			return
		}
	}
}

// unmount takes one mount of points away. If that hangs, a server does not answer: that of the mount itself or of
// one through which the way leads. Without help each such mount would cost a thread, and soon nothing
// else could be tried. So whatever lies on the way is forced, from the root on, since only what is
// below a dead server cannot be reached: the kernel then answers all its requests (umount(2),
// MNT_FORCE). What is behind it has no path any more; it is detached with the innermost mount that has
// one. What was not written to a dead server is lost, whatever we do.
func (r *run) unmount(point string, points []string) error {
	err := r.within(r.StepTimeout, func() error { return unix.Unmount(point, unix.UMOUNT_NOFOLLOW) })
	if err != errHung {
		return err
	}
	if r.hung == nil {
		r.hung = make(map[string]bool)
	}
	r.hung[point] = true
	way := append(wayTo(point, points), point)
	for _, p := range way {
		err = r.within(r.StepTimeout, func() error { return unix.Unmount(p, unix.UMOUNT_NOFOLLOW|unix.MNT_FORCE) })
		if err == errHung || err == errSkip {
			break // nothing can be forced here
		}
	}
	if err != errHung && err != errSkip {
		for i := len(way) - 1; i >= 0; i-- {
			err = r.within(r.StepTimeout, func() error { return unix.Unmount(way[i], unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH) })
			if err == nil || err == errHung || err == errSkip {
				break
			}
		}
	}
	r.Say(point + " does not answer; detaching it: " + text(err))
	return nil
}

// wayTo gives the mounts of points that enclose one of them, the first mounted first, which is the outermost.
func wayTo(point string, points []string) []string {
	var way []string
	for i := len(points) - 1; i >= 0; i-- {
		if p := points[i]; strings.HasPrefix(point, p+"/") && !slices.Contains(way, p) {
			way = append(way, p)
		}
	}
	return way
}

// readOnly leaves what cannot be unmounted in a clean state.
func (r *run) readOnly() {
	deadline := time.Now().Add(r.TotalTimeout)
	done := make(map[string]bool)
	for _, point := range ParseMounts(r.table("/proc/self/mountinfo")) {
		if r.hung[point] || done[point] {
			continue
		}
		done[point] = true
		d, ok := r.step(deadline)
		if !ok {
			r.Say("giving up on remounting: it took too long")
			break
		}
		if err := r.within(d, func() error { return remountReadOnly(point) }); err != nil {
			r.fail("remount "+point+" read-only", err)
		}
	}
	if err := r.reserved(r.StepTimeout, func() error { return remountReadOnly("/") }); err != nil {
		r.fail("remount / read-only", err)
	}
}

func remountReadOnly(point string) error {
	return unix.Mount("", point, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

// sync writes everything back, and waits as long as there is less to write
// at each look.
func (r *run) sync() {
	if r.behind.Load() >= hungMax {
		r.fail("sync", errSkip)
		return
	}
	done := make(chan struct{})
	r.behind.Add(1)
	go func() {
		unix.Sync()
		r.behind.Add(-1)
		close(done)
	}()
	for least := r.dirty(); !ends(done, 2*r.StepTimeout); {
		now := r.dirty()
		if now >= least {
			r.Say("sync makes no progress; going on")
			return
		}
		least = now
	}
}

// ends waits for done, but not longer than d.
func ends(done <-chan struct{}, d time.Duration) bool {
	late := make(chan struct{})
	t := time.AfterFunc(d, func() { close(late) })
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-late:
		return false
	}
}

// dirty is how many KiB wait to be written (proc_meminfo(5)).
func (r *run) dirty() int { return ParseDirty(r.table("/proc/meminfo")) }

// ParseDirty adds up Dirty and Writeback of /proc/meminfo, in KiB.
func ParseDirty(table string) int {
	sum := 0
	for _, line := range strings.Split(table, "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "Dirty:" && f[0] != "Writeback:" {
			continue
		}
		if n, err := strconv.Atoi(f[1]); err == nil {
			sum += n
		}
	}
	return sum
}

func text(err error) string {
	if err == nil {
		return "done"
	}
	return err.Error()
}
