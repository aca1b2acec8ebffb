package process

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SparedScore is the oom_score_adj of a process that the kernel never kills for memory (proc_pid_oom_score_adj(5)).
const SparedScore = -1000

// OOMScore reads this process's oom_score_adj.
func OOMScore() (int64, error) {
	fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var b [16]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return 0, err
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	return int64(score), err
}

// SetOOMScore writes a process's oom_score_adj; to lower one takes CAP_SYS_RESOURCE, else EACCES.
func SetOOMScore(pid int, score int64) error {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(strconv.Itoa(int(score))))
	return err
}
