#include "textflag.h"

// filter is a signal handler in C's calling convention: DI signal, SI siginfo, DX context.
// The kernel restores every register when it returns.
TEXT filter<>(SB),NOSPLIT|NOFRAME,$0
	MOVL	8(SI), AX	// si_code: above 0 if the kernel raised it
	CMPL	AX, $0
	JLE	sent
	MOVQ	·runtimeHandler(SB), AX
	JMP	AX
sent:
	MOVL	DI, CX
	DECL	CX
	MOVQ	$1, AX
	SHLQ	CX, AX
	LOCK
	ORQ	AX, ·sentBits(SB)
	MOVL	·sentWake(SB), DI
	CMPL	DI, $0
	JLT	done
	LEAQ	·sentOne(SB), SI
	MOVL	$8, DX
	MOVL	$1, AX	// write(2)
	SYSCALL
done:
	RET

// func filterAddress() uintptr
TEXT ·filterAddress(SB),NOSPLIT,$0-8
	LEAQ	filter<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
