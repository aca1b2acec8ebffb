package shim

import (
	"syscall"
	"unsafe"
)

type capHeader struct {
	version uint32
	pid     int32
}

// capData is one half (32 capabilities) of a process's sets.
type capData struct{ effective, permitted, inheritable uint32 }

// credentials drops what is to be dropped, in the order that leaves each later step the
// privilege that it needs.
func (r *runner) credentials() {
	if r.SetGroups {
		r.must(setGroups(r.Groups), ExitGroup, "SupplementaryGroups", "")
	}
	if r.GID.Set {
		g := uintptr(r.GID.N)
		r.must(errnoOf(call(syscall.SYS_SETRESGID, g, g, g)), ExitGroup, "Group", decimal(r.GID.N))
	}
	if r.Bounding.Set {
		r.must(boundCaps(uint64(r.Bounding.N)), ExitCapabilities, "CapabilityBoundingSet", "")
	}
	if r.Root != "" {
		r.must(callPath(syscall.SYS_CHROOT, r.Root), ExitChroot, "RootDirectory", r.Root)
	}
	r.changeUser()
	r.joinKeyring()
}

func setGroups(groups []int64) syscall.Errno {
	list := make([]uint32, len(groups)+1)
	for i, g := range groups {
		list[i] = uint32(g)
	}
	_, _, e := syscall.RawSyscall(syscall.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&list[0])), 0)
	return e
}

// changeUser sets the user, the ambient capabilities and the secure bits. The latter two need
// capabilities that the change of user takes away, unless they are kept for the moment.
func (r *runner) changeUser() {
	caps := r.Ambient != 0 || r.SecureBits.Set
	before, e := getCaps()
	r.must(e, ExitCapabilities, "capabilities", "")
	if caps {
		r.must(errnoOf(call(syscall.SYS_PRCTL, prSetKeepCaps, 1)), ExitCapabilities, "AmbientCapabilities", "")
	}
	if r.UID.Set {
		u := uintptr(r.UID.N)
		r.must(errnoOf(call(syscall.SYS_SETRESUID, u, u, u)), ExitUser, "User", decimal(r.UID.N))
	}
	if !caps {
		return
	}
	setInheritable(&before, uint64(r.Ambient))
	r.must(setCaps(&before), ExitCapabilities, "AmbientCapabilities", "")
	for n := uintptr(0); n < 64; n++ {
		if r.Ambient>>n&1 != 0 {
			r.must(errnoOf(call(syscall.SYS_PRCTL, prCapAmbient, ambientRaise, n, 0, 0)), ExitCapabilities, "AmbientCapabilities", decimal(int64(n)))
		}
	}
	if r.SecureBits.Set {
		r.must(errnoOf(call(syscall.SYS_PRCTL, prSecureBits, uintptr(r.SecureBits.N))), ExitSecureBits, "SecureBits", "")
	}
	if r.UID.Set && r.UID.N != 0 {
		only := before
		for i := range only {
			only[i].permitted = only[i].inheritable
			only[i].effective = only[i].inheritable
		}
		r.must(setCaps(&only), ExitCapabilities, "AmbientCapabilities", "")
	}
}

func getCaps() (data [2]capData, e syscall.Errno) {
	h := capHeader{version: capVersion3}
	_, _, e = syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(&data)), 0)
	return data, e
}

func setCaps(data *[2]capData) syscall.Errno {
	h := capHeader{version: capVersion3}
	_, _, e := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(data)), 0)
	return e
}

// setInheritable makes all permitted capabilities effective and exactly mask inheritable.
func setInheritable(data *[2]capData, mask uint64) {
	for i := range data {
		data[i].effective = data[i].permitted
		data[i].inheritable = uint32(mask >> (32 * i))
	}
}

// boundCaps drops everything that is not in keep from the bounding and inheritable sets.
func boundCaps(keep uint64) syscall.Errno {
	for n := uintptr(0); n < 64; n++ {
		has, e := call(syscall.SYS_PRCTL, prCapbsetRead, n)
		if e == syscall.EINVAL {
			break // beyond the kernel's last capability
		}
		if e == 0 && has == 1 && keep>>n&1 == 0 {
			e = errnoOf(call(syscall.SYS_PRCTL, prCapbsetDrop, n))
		}
		if e != 0 {
			return e
		}
	}
	data, e := getCaps()
	if e != 0 {
		return e
	}
	for i := range data {
		data[i].inheritable &= uint32(keep >> (32 * i))
	}
	return setCaps(&data)
}

// joinKeyring gives the process a session keyring that belongs to its user. A kernel or
// container without keyrings is no error, nor is a full quota: as in systemd.
func (r *runner) joinKeyring() {
	if r.Keyring == KeyringInherit {
		return
	}
	_, e := call(syscall.SYS_KEYCTL, keyctlJoin, 0)
	if e == 0 && r.Keyring == KeyringShared {
		_, e = call(syscall.SYS_KEYCTL, keyctlLink, keyUser, keySession)
	}
	switch e {
	case 0, syscall.ENOSYS, syscall.EPERM, syscall.EACCES, syscall.EDQUOT:
	default:
		r.fail(ExitKeyring, "KeyringMode", "", e)
	}
}
