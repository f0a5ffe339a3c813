// SPDX-License-Identifier: Apache-2.0

// Package nontemporal copies to where this processor will not look again soon.
//
// An ordinary store first fetches the cache line that it changes, here from the
// caches of those who read it last or from memory, and puts out another line to
// have room for it. A non-temporal store does neither: the line is gathered beside
// the caches and goes to memory. That pays for what is long and far from being
// read by this processor. Whoever reads it next has to fetch it from memory.
//
// Non-temporal stores are not in order, neither among themselves nor with others.
// [Copy] fences before the first and behind the last one, so that as a whole it is
// in order with everything around it, as ordinary stores are on amd64: no byte is
// seen before what was stored before, and every byte before what is stored after.
package nontemporal
