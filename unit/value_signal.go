package unit

import (
	"fmt"
	"strconv"
	"strings"
)

// The range of real-time signals that glibc leaves to programs (man signal(7)).
const (
	sigRTMin = 34
	sigRTMax = 64
)

// signalNames are Linux's signals on all architectures but alpha, mips and sparc.
var signalNames = [...]string{
	1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE",
	9: "KILL", 10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM",
	16: "STKFLT", 17: "CHLD", 18: "CONT", 19: "STOP", 20: "TSTP", 21: "TTIN", 22: "TTOU",
	23: "URG", 24: "XCPU", 25: "XFSZ", 26: "VTALRM", 27: "PROF", 28: "WINCH", 29: "IO",
	30: "PWR", 31: "SYS",
}

// ParseSignal reads a signal: a name with or without SIG, RTMIN+n, RTMAX-n, or a number.
func ParseSignal(s string) (int, error) {
	if n, ok := signalNumber(strings.TrimPrefix(s, "SIG")); ok {
		return n, nil
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 1 && n <= sigRTMax {
		return n, nil
	}
	return 0, fmt.Errorf("%q is not a signal (valid: such as SIGTERM, HUP, RTMIN+3, 1 to %d)", s, sigRTMax)
}

func signalNumber(name string) (int, bool) {
	for i, n := range signalNames {
		if n != "" && n == name {
			return i, true
		}
	}
	switch {
	case name == "POLL":
		return 29, true
	case name == "RTMIN":
		return sigRTMin, true
	case name == "RTMAX":
		return sigRTMax, true
	case strings.HasPrefix(name, "RTMIN+"):
		return rtOffset(name[len("RTMIN+"):], sigRTMin, 1)
	case strings.HasPrefix(name, "RTMAX-"):
		return rtOffset(name[len("RTMAX-"):], sigRTMax, -1)
	}
	return 0, false
}

func rtOffset(digits string, base, sign int) (int, bool) {
	n, err := strconv.ParseUint(digits, 10, 8)
	if err != nil || n > sigRTMax-sigRTMin {
		return 0, false
	}
	return base + sign*int(n), true
}

// SignalName is the name of signal n with its SIG ("SIGTERM", "SIGRTMIN+3"), the number
// itself where there is no name.
func SignalName(n int) string {
	switch {
	case n > 0 && n < len(signalNames):
		return "SIG" + signalNames[n]
	case n == sigRTMin:
		return "SIGRTMIN"
	case n > sigRTMin && n <= sigRTMax:
		return "SIGRTMIN+" + strconv.Itoa(n-sigRTMin)
	}
	return strconv.Itoa(n)
}
