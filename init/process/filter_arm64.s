#include "textflag.h"

// filter is a signal handler in C's calling convention: R0 signal, R1 siginfo, R2 context.
// The kernel restores every register when it returns to its trampoline in R30.
TEXT filter<>(SB),NOSPLIT|NOFRAME,$0
	MOVW	8(R1), R3	// si_code: above 0 if the kernel raised it
	CMPW	$0, R3
	BLE	sent
	MOVD	·runtimeHandler(SB), R16
	JMP	(R16)
sent:
	SUB	$1, R0, R3
	MOVD	$1, R4
	LSL	R3, R4, R4
	MOVD	$·sentBits(SB), R5
again:
	LDAXR	(R5), R6
	ORR	R4, R6, R6
	STLXR	R6, (R5), R7
	CBNZ	R7, again
	MOVW	·sentWake(SB), R0
	CMPW	$0, R0
	BLT	done
	MOVD	$·sentOne(SB), R1
	MOVD	$8, R2
	MOVD	$64, R8	// write(2)
	SVC
done:
	RET

// func filterAddress() uintptr
TEXT ·filterAddress(SB),NOSPLIT,$0-8
	MOVD	$filter<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET
