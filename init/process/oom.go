package process

import (
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/init/proc"
)

// SparedScore is the oom_score_adj of a process that the kernel never kills for memory (proc_pid_oom_score_adj(5)).
const SparedScore = -1000

// OOMScore reads this process's oom_score_adj.
func OOMScore() (int64, error) {
	b, err := proc.Read("/proc/self/oom_score_adj", make([]byte, 16))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 32)
}

// SetOOMScore writes a process's oom_score_adj; to lower one takes CAP_SYS_RESOURCE, else EACCES.
func SetOOMScore(pid int, score int64) error {
	return proc.Write(proc.Path(pid, "oom_score_adj"), strconv.FormatInt(score, 10))
}
