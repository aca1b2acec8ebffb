package image

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kept is how many builds of each kind the cache keeps.
const kept = 3

// newKey names a build by all that goes into it.
func newKey(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// prune removes all but the most recently used files of the cache with this prefix.
func (s Spec) prune(prefix string) error {
	paths, err := filepath.Glob(filepath.Join(s.Cache, prefix+"*"))
	if err != nil {
		return fmt.Errorf("cannot list the cache: %w", err)
	}
	times := make(map[string]int64, len(paths))
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return fmt.Errorf("cannot list the cache: %w", err)
		}
		times[p] = info.ModTime().UnixNano()
	}
	slices.SortFunc(paths, func(a, b string) int {
		if times[a] != times[b] {
			return int(max(-1, min(1, times[b]-times[a])))
		}
		return strings.Compare(a, b)
	})
	for _, p := range paths[min(kept, len(paths)):] {
		if err := os.Remove(p); err != nil {
			return fmt.Errorf("cannot prune the cache: %w", err)
		}
	}
	return nil
}
