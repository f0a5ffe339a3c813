// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func spans(base *byte, offsets *uint, count, last int)
TEXT ·spans(SB), NOSPLIT|NOFRAME, $0-32
	MOVD	base+0(FP), R0
	MOVD	offsets+8(FP), R1
	MOVD	count+16(FP), R2
	MOVD	last+24(FP), R3
	ADD	R0, R3, R3

next:
	MOVD.P	8(R1), R4
	ADD	R0, R4, R5
	PRFM	(R5), PLDL1KEEP
	ADD	R3, R4, R5
	PRFM	(R5), PLDL1KEEP
	SUB	$1, R2, R2
	CBNZ	R2, next
	RET
