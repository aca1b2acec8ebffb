// Package image makes what the machine test boots: a Debian root file system with the programs and unit files of the test laid
// over it, a small initramfs, and Debian's cloud kernel.
//
// Everything is kept in a cache folder under a key made of all that went in, so a second call is cheap and a change of an input
// rebuilds exactly what depends on it: the Debian root (debootstrap, about a minute) only for another package list or script, the
// disk (mke2fs, seconds) for another program or unit file. A lock file serialises builders. No loop device and no mount
// is used; root is needed, because a root file system has files of root.
package image
