// SPDX-License-Identifier: Apache-2.0

// Package ringside reads BPF maps without any privilege. A sidecar that may read
// the maps publishes their rows in shared memory; this package attaches to that
// memory and hands the rows to a Go program, at the price of a memory read.
//
// # Which to choose
//
//   - What does the map hold now? [OpenTable]: lookups, iteration, snapshots and
//     changes, always of one whole scan.
//   - What happened, row by row, also in maps that come later? [Attach] and
//     [Subscription.Batches], with [RowsOf], [ColumnOf] or plain bytes.
//   - The same, added up as fast as memory goes? [Subscription.View].
//   - The records of a ring buffer? Batches of [KindEvents], with [EventsOf].
//   - What was recorded? [OpenFile], and then any of these.
//
// The folder examples has a program for each.
//
// # Attach
//
//	sub, err := ringside.Attach(ctx, ringside.Options{}) // $RINGSIDE_SOCKET or the default
//	if err != nil {
//		return err // names the socket, the cause and the remedy
//	}
//	defer sub.Close()
//
// # Read
//
// Rows arrive in batches. Say once what a row looks like in Go; the types are
// compared with those of the map, and an error names the first field that
// differs:
//
//	type Flow struct{ Src, Dst [4]byte }
//	type Stats struct{ Packets, Bytes uint64 }
//
//	rows, err := ringside.RowsOf[Flow, Stats](sub, "flows")
//	if err != nil {
//		return err
//	}
//	for batch, err := range sub.Batches(ctx) {
//		if err != nil {
//			return err
//		}
//		for k, v := range rows.In(batch) {
//			fmt.Println(k.Src, v.Bytes)
//		}
//	}
//
// k and v point into the batch; a step costs a nanosecond or two. rows.In shows
// nothing of other maps' batches, so one loop can serve several maps.
// [PerCPURowsOf] is for maps that are per CPU, [ColumnOf] and [BytesOf] for what
// no Go struct can describe, [Batch.Key] and [Batch.Value] for plain bytes.
//
// A scan of a map is one or more batches, from Batch.First to Batch.Last. With
// Batch.Keyframe it is everything the map held; keys that are absent were not
// in it, except where [Source.LockedScan] says that they may have been missed.
//
// # Loss
//
// The sidecar never waits for a reader. One that is slower than a whole ring is
// overtaken, and the stream says so, with exact numbers, in a batch of
// [KindLost] before the rows that follow. When the sidecar ends, a batch of
// [KindGone] tells, the loop goes on trying, and [KindRestart] tells that rows
// follow again and whether anything in between can have been missed. A sidecar
// that hangs or is stopped is told in a batch of [KindHangs], once, after two to
// three seconds; the rows go on when it does, and [Stats].Away tells until then
// ([ErrHangs]). None of this ends the loop; programs to which it does not matter need not look.
//
//	switch batch.Kind {
//	case ringside.KindLost:
//		log.Printf("missed %d rows", batch.Lost.Rows)
//	case ringside.KindRestart:
//		log.Print("attached to a new ring")
//	}
//
// # Tables
//
// A program that wants to know what a map holds, not what happens to it, opens a
// table. It is kept from the stream, by the rules that make it never silently
// wrong: a loss, a scan that broke off or a restart make it stale, visibly, until
// a whole keyframe has come.
//
//	flows, err := ringside.OpenTable[Flow, Stats](ctx, ringside.Options{Source: "flows"})
//	if err != nil {
//		return err
//	}
//	defer flows.Close()
//	if err := flows.Wait(ctx); err != nil { // for the first content
//		return err
//	}
//	stats, ok := flows.Get(Flow{Src: ip})
//
// Lookups, [Table.All], [Table.Snapshot] and [Table.OnChange] can be used from any
// goroutine. [TableOf] is for a loop of the program's own that feeds several
// tables, [PerCPUTable] for maps that are per CPU, [RawTable] for those that have
// no Go layout.
//
// # Events
//
// A source of events ([Source.Events]) has no keys and no scans: its batches hold
// records in the order in which the kernel gave them. Every reader gets all of
// them, and loss is counted in events.
//
//	connects, err := ringside.EventsOf[Connect](sub, "connects")
//	...
//	for record := range connects.In(batch) {
//		fmt.Println(record.PID, record.Port)
//	}
//
// # Lifetime of bytes
//
// A batch of [Subscription.Batches] is a private copy that the next batch
// overwrites: copy what you keep (v := *v). A batch of [Subscription.View] is the
// ring itself, for programs that want to save the copy too; what was computed
// from it counts only if View says so afterwards.
//
// # Concurrency
//
// A Subscription belongs to one goroutine, a batch may be read by many until the
// loop goes on. Attach as often as you like: readers neither see nor slow each
// other. A loop that has nothing to read sleeps without holding a thread, and
// wakes when a scan is complete.
//
// # What may go wrong
//
// [Attach] fails at once if there is no sidecar or it lets this program not in.
// Later, the loop ends only with its context, with [ErrCorrupt], or when a
// sidecar that came back refuses. A map that its owner replaces by one of
// another layout is a [*LayoutError] in the stream, and typed views of it show
// nothing rather than something wrong.
package ringside
