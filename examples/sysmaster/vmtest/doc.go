// Package vmtest boots a virtual machine with Debian's kernel and root file system under an init of choice, and drives it: the
// serial console is read and kept, and an agent inside the guest, independent of that init, runs commands and reads files.
//
// The machine is emulated by software (QEMU's TCG) wherever it runs, so that a test on a developer's machine and in CI is the same.
// Package image makes the files that it boots. The machine test itself is this folder's Go tests, run with SYSMASTER_VM=1; bench
// compares boots of two inits. vm.sh runs either and says which Debian packages they need.
package vmtest
