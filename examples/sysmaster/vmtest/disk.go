package vmtest

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// CheckDisk reports whether the file system of an ended machine is clean: its superblock says so, its journal needs no recovery, and a
// full read-only check finds nothing.
func CheckDisk(ctx context.Context, disk string) error {
	out, err := exec.CommandContext(ctx, "dumpe2fs", "-h", disk).Output()
	if err != nil {
		return fmt.Errorf("cannot read the superblock of %s: %w", disk, err)
	}
	state, recovery := "", false
	for _, line := range strings.Split(string(out), "\n") {
		if value, ok := strings.CutPrefix(line, "Filesystem state:"); ok {
			state = strings.TrimSpace(value)
		}
		if value, ok := strings.CutPrefix(line, "Filesystem features:"); ok {
			recovery = strings.Contains(value, "needs_recovery")
		}
	}
	if state != "clean" || recovery {
		return fmt.Errorf("the file system was not left clean: state %q, journal needs recovery: %v", state, recovery)
	}
	if out, err := exec.CommandContext(ctx, "e2fsck", "-f", "-n", disk).CombinedOutput(); err != nil {
		return fmt.Errorf("the file system has errors: %w\n%s", err, out)
	}
	return nil
}

// ReadDisk gives a file of an ended machine's file system; a missing file is an error.
func ReadDisk(ctx context.Context, disk, path string) (string, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, "debugfs", "-R", "cat "+path, disk)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || strings.Contains(stderr.String(), "File not found") {
		return "", fmt.Errorf("cannot read %s of the disk: %v %s", path, err, stderr.String())
	}
	return string(out), nil
}
