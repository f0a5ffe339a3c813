// SPDX-License-Identifier: Apache-2.0

// Package interleave measures contenders against each other in one run: in
// every round each of them makes one pass, in random order.
//
// One after the other would not do: the clock of a processor, the neighbours on
// a shared machine and the temperature of caches change over seconds, and
// whoever was measured in the better ones would win. Always the same order would
// not do either: each would inherit its predecessor's caches.
//
// A pass may repeat its work, so that it is long against what starting it costs
// and so that the caches are its own. The first round only finds out how often,
// and is thrown away. Before each pass the garbage collector runs, so that
// nobody pays for what another has allocated.
package interleave
