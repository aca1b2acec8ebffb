package conditions

// cpuid executes the instruction of that name for a leaf, sub-leaf 0.
func cpuid(leaf uint32) (eax, ebx, ecx, edx uint32)

// hypervisorSignature is what a hypervisor says of itself in leaf 0x40000000, when the
// processor says that there is one (leaf 1, ecx bit 31); 12 bytes, else empty.
func hypervisorSignature() (signature string, present bool) {
	if _, _, c, _ := cpuid(1); c&(1<<31) == 0 {
		return "", false
	}
	_, b, c, d := cpuid(0x40000000)
	var out []byte
	for _, r := range [...]uint32{b, c, d} {
		out = append(out, byte(r), byte(r>>8), byte(r>>16), byte(r>>24))
	}
	return string(out), true
}
