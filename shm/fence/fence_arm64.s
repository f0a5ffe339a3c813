// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// The argument of DMB is CRm: 0b1001 is ISHLD (loads, inner shareable domain:
// all CPUs that run this kernel), 0b1010 is ISHST (stores).

// func LoadLoad()
TEXT ·LoadLoad(SB), NOSPLIT|NOFRAME, $0-0
	DMB	$0x9	// ISHLD: the copy of a frame is complete before hw is loaded
	RET

// func StoreStore()
TEXT ·StoreStore(SB), NOSPLIT|NOFRAME, $0-0
	DMB	$0xa	// ISHST: hw is visible before any byte of the new frame
	RET
