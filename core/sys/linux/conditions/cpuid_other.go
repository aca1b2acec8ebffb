//go:build !amd64

package conditions

// hypervisorSignature: only x86 processors have one.
func hypervisorSignature() (signature string, present bool) { return "", false }
