// SPDX-License-Identifier: Apache-2.0

//go:build !race

#include "textflag.h"

// func copyLines(to, from *byte, n int)
//
// SSE2, which every amd64 has. A line is stored whole and in one go, so that it
// leaves the processor as one.
TEXT ·copyLines(SB), NOSPLIT|NOFRAME, $0-24
	MOVQ	to+0(FP), DI
	MOVQ	from+8(FP), SI
	MOVQ	n+16(FP), CX
	SFENCE	// what was stored before is seen before

next:
	MOVOU	(SI), X0
	MOVOU	16(SI), X1
	MOVOU	32(SI), X2
	MOVOU	48(SI), X3
	MOVNTO	X0, (DI)
	MOVNTO	X1, 16(DI)
	MOVNTO	X2, 32(DI)
	MOVNTO	X3, 48(DI)
	ADDQ	$64, SI
	ADDQ	$64, DI
	DECQ	CX
	JNZ	next
	SFENCE	// and all of it before what is stored after
	RET
