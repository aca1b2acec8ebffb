package bootenv

import "strings"

// Bounds of a command line: the kernel's own is 4 KiB at most on every
// architecture but one (COMMAND_LINE_SIZE); what is beyond is ignored.
const (
	MaxCmdline = 16 << 10 // bytes
	MaxWords   = 1024
)

// Param is one word of the command line: "key=value" or only "key".
type Param struct {
	Key, Value string
	HasValue   bool
}

// Cmdline is a parsed kernel command line, in its order.
type Cmdline []Param

// ParseCmdline splits as the kernel does (lib/cmdline.c, next_arg): at white
// space, double quotes protect it, anywhere in a word; there is no escape. A
// quote that is never closed reaches to the end.
func ParseCmdline(line string) Cmdline {
	line = line[:min(len(line), MaxCmdline)]
	var params Cmdline
	for len(params) < MaxWords {
		line = strings.TrimLeft(line, " \t\r\n\v\f\x00")
		if line == "" {
			break
		}
		quoted, end := false, len(line)
		for i := 0; i < len(line); i++ {
			if line[i] == '"' {
				quoted = !quoted
			} else if !quoted && strings.IndexByte(" \t\r\n\v\f\x00", line[i]) >= 0 {
				end = i
				break
			}
		}
		params = append(params, param(line[:end]))
		line = line[end:]
	}
	return params
}

// ParseArgs reads PID 1's own arguments, as a container's manager gives them
// instead of a command line of a kernel: already split.
func ParseArgs(args []string) Cmdline {
	var params Cmdline
	for _, a := range args[:min(len(args), MaxWords)] {
		if len(a) <= MaxCmdline {
			params = append(params, param(a))
		}
	}
	return params
}

func param(word string) Param {
	key, value, has := strings.Cut(strings.ReplaceAll(word, `"`, ""), "=")
	return Param{Key: key, Value: value, HasValue: has}
}

// Get gives the last value of key. As systemd does (kernel-command-line(7)),
// "-" and "_" are the same in a key.
func (c Cmdline) Get(key string) (value string, ok bool) {
	for _, p := range c {
		if sameKey(p.Key, key) {
			value, ok = p.Value, true
		}
	}
	return value, ok
}

// Bool reads a switch: absent is false; "key" alone and 1, y, yes, true, on
// are true.
func (c Cmdline) Bool(key string) bool {
	on := false
	for _, p := range c {
		if !sameKey(p.Key, key) {
			continue
		}
		switch strings.ToLower(p.Value) {
		case "1", "y", "yes", "t", "true", "on":
			on = true
		default:
			on = !p.HasValue
		}
	}
	return on
}

func sameKey(a, b string) bool {
	return strings.ReplaceAll(a, "_", "-") == strings.ReplaceAll(b, "_", "-")
}
