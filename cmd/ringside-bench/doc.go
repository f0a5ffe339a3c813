// SPDX-License-Identifier: Apache-2.0

// Command ringside-bench measures what ringside claims, on the machine it runs
// on. Every experiment is a verb:
//
//	ringside-bench maptypes      how fast each type of map reaches a consumer's hands
//	ringside-bench overhead      where the time of one lookup goes
//	ringside-bench causes        what makes a map slow to read
//	ringside-bench disturb       whether other tracing tools lose events
//	ringside-bench churn         how exact a scan is while the map changes
//	ringside-bench ring          what publishing into the ring adds to reading a map
//	ringside-bench changes       what publishing only what changed costs and saves
//	ringside-bench rows          what a consumer pays for a row
//	ringside-bench sleepers      what sleeping readers cost the publisher
//	ringside-bench fanout        what many readers cost, whoever carries the rows
//	ringside-bench syscalls      which system calls a reading consumer makes
//	ringside-bench latency       how late a consumer sees an event
//	ringside-bench quiet         whom a ring wakes into which nothing comes
//	ringside-bench restart       how soon consumers have rows again after a restart
//	ringside-bench soak          whether it stays as it is, for minutes or hours
//	ringside-bench clients       what a row costs in each language
//	ringside-bench table         what a table costs that is kept from the stream
//	ringside-bench memory        what page faults and the garbage collector cost
//	ringside-bench footprint     how large the sidecar is
//	ringside-bench all --short   all of them, briefly
//	ringside-bench report --write docs
//
// Who writes: each experiment creates its own maps, pinned in a bpffs of its own
// that is gone afterwards, and its own ring. Who reads: a consumer that attaches
// over a Unix socket like any other, in this process or in children that are
// this program again (the hidden verbs "reader", "consumer" and "watcher").
//
// What may go wrong: all of it needs root. Figures depend on the machine and on
// what else it does, so contenders are measured interleaved and compared within
// a round, the spread is printed, and nothing fails because something was slow.
package main
