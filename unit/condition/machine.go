package condition

import "io/fs"

// Machine is what conditions may ask. Implementations bound what they read, in size and
// number; an error is the answer to a question that has none.
type Machine interface {
	Files
	Kernel
	Host
}

// Files are the questions about paths, all of them absolute.
type Files interface {
	// Stat and Lstat describe a file, with and without following a last symbolic link.
	Stat(path string) (File, error)
	Lstat(path string) (File, error)
	// ReadDir lists at most max names, without "." and "..", in no particular order.
	ReadDir(path string, max int) ([]string, error)
	// ReadFile reads a small file; one that is larger than the implementation's bound is an error.
	ReadFile(path string) ([]byte, error)
	// FileSystem describes what path is on.
	FileSystem(path string) (FileSystem, error)
}

// File is what a condition looks at in a file.
type File struct {
	Mode  fs.FileMode
	Size  int64
	MTime int64 // nanoseconds since the epoch
}

// FileSystem is what a condition looks at in the file system of a path.
type FileSystem struct {
	ReadOnly bool
	Root     bool   // the path is the root of a mount
	Device   string // "major:minor" of the block device below; empty when there is none
}

// Kernel are the questions about the running kernel.
type Kernel interface {
	CommandLine() (string, error)
	Release() (string, error)      // "6.1.0-18-amd64"
	Architecture() (string, error) // in systemd's words: "x86-64"
	Memory() (uint64, error)       // bytes that this system may use
	CPUs() (int, error)            // CPUs that this process may run on
}

// Host are the questions about where and as whom the manager runs.
type Host interface {
	Virtualization() (Virtualization, error)
	HostName() (string, error)
	MachineID() (string, error) // 32 hexadecimal digits
	Identity() (Identity, error)
	Environ() []string // the manager's environment, KEY=VALUE
}

// Virtualization says what the system runs in, in the words of systemd-detect-virt(1).
type Virtualization struct {
	VM           string // "kvm"; empty for none
	Container    string // "docker"; empty for none
	PrivateUsers bool   // in a user namespace of its own
}

// Identity is whom the manager runs as.
type Identity struct {
	UIDs   [2]uint32 // real and effective
	GIDs   []uint32  // real, effective and supplementary
	Users  []string  // names of UIDs
	Groups []string  // names of GIDs
}
