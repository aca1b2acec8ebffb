// Command guest is the machine test's part inside the virtual machine. It is the initramfs's /init, and from there also the
// agent.
//
// As /init it mounts the API file systems, inserts the kernel modules named in /modules/list, mounts the root file system, starts
// the agent, stamps the hand-over, and executes the init under test. As the agent it takes requests (package wire) from the second
// serial port and runs them in the root file system. It is forked before the hand-over, so it works whatever becomes of the init under
// test and its core; for them it is one more child of PID 1 that they did not start, as an initramfs may leave it.
//
// Kernel command line: root=DEVICE, ro, init=PATH. Nothing is tried in place of an init= that cannot be executed: a test must
// not pass on another init than the one it names.
package main
