// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func spans(base *byte, offsets *uint, count, last int)
TEXT ·spans(SB), NOSPLIT|NOFRAME, $0-32
	MOVQ	base+0(FP), DI
	MOVQ	offsets+8(FP), SI
	MOVQ	count+16(FP), CX
	MOVQ	last+24(FP), DX
	ADDQ	DI, DX

next:
	MOVQ	(SI), AX
	PREFETCHT0	(DI)(AX*1)
	PREFETCHT0	(DX)(AX*1)
	ADDQ	$8, SI
	DECQ	CX
	JNZ	next
	RET
