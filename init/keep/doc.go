// Package keep is what init holds for the core while there may be none: the
// exits that were not acknowledged, and the descriptors of the fd store. Both
// are bounded, and neither knows of sockets or processes.
package keep
