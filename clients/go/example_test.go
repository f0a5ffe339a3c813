// SPDX-License-Identifier: Apache-2.0

package ringside_test

import (
	"context"
	"fmt"
	"log"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

// What C calls struct flow { __be32 src, dst; __be16 sport, dport; }
// and struct stats { __u64 packets, bytes; }.
type Flow struct {
	Src, Dst     [4]byte
	Sport, Dport uint16
}

type Stats struct{ Packets, Bytes uint64 }

func Example() {
	ctx := context.Background()
	sub, err := ringside.Attach(ctx, ringside.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()
	flows, err := ringside.RowsOf[Flow, Stats](sub, "flows")
	if err != nil {
		log.Fatal(err)
	}
	for batch, err := range sub.Batches(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		for flow, stats := range flows.In(batch) {
			fmt.Println(flow.Src, flow.Dst, stats.Bytes)
		}
	}
}

// A table that is kept from the stream is stale from a loss on, until a scan
// has come that is complete in itself.
func ExampleSubscription_Batches() {
	ctx := context.Background()
	sub, err := ringside.Attach(ctx, ringside.Options{Source: "flows"})
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()
	flows, err := ringside.RowsOf[Flow, Stats](sub, "flows")
	if err != nil {
		log.Fatal(err)
	}
	table, next, whole := map[Flow]Stats{}, map[Flow]Stats{}, false
	for batch, err := range sub.Batches(ctx) {
		switch {
		case err != nil:
			log.Print(err) // the map has another layout now: its rows do not show
			whole = false
			continue
		case batch.Kind != ringside.KindRows: // lost, gone, restart
			whole = false
			continue
		case batch.First:
			clear(next)
			whole = batch.Keyframe
		}
		for k, v := range flows.In(batch) {
			next[*k] = *v // copied: k and v are the batch's
		}
		if batch.Last && whole {
			table, next = next, table
			fmt.Println(len(table), "flows")
		}
	}
}

// The current content of a map, for any goroutine that asks.
func ExampleOpenTable() {
	ctx := context.Background()
	flows, err := ringside.OpenTable[Flow, Stats](ctx, ringside.Options{Source: "flows"})
	if err != nil {
		log.Fatal(err)
	}
	defer flows.Close()
	if err := flows.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	if stats, ok := flows.Get(Flow{Dport: 443}); ok {
		fmt.Println(stats.Bytes)
	}
	if s := flows.Status(); !s.Fresh {
		fmt.Println("as of", s.Since, "because", s.Reason)
	}
}

// One loop keeps two tables, and sees what else there is.
func ExampleTableOf() {
	ctx := context.Background()
	sub, err := ringside.Attach(ctx, ringside.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()
	flows, err := ringside.TableOf[Flow, Stats](sub, "flows")
	if err != nil {
		log.Fatal(err)
	}
	users, err := ringside.TableOf[uint32, Stats](sub, "users")
	if err != nil {
		log.Fatal(err)
	}
	for batch, err := range sub.Batches(ctx) {
		if err != nil {
			log.Print(err) // a map has another layout now: its table is stale
			continue
		}
		if changed := flows.Apply(batch); users.Apply(batch) || changed {
			fmt.Println(flows.Len(), "flows of", users.Len(), "users")
		}
	}
}

func ExampleSubscription_View() {
	ctx := context.Background()
	sub, err := ringside.Attach(ctx, ringside.Options{Source: "flows"})
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()
	flows, err := ringside.RowsOf[Flow, Stats](sub, "flows")
	if err != nil {
		log.Fatal(err)
	}
	var total uint64
	for {
		var sum uint64
		valid, err := sub.View(ctx, func(b *ringside.Batch) {
			for _, stats := range flows.In(b) {
				sum += stats.Bytes
			}
		})
		if err != nil {
			log.Fatal(err)
		}
		if valid {
			total += sum
		}
	}
}

func ExamplePerCPURowsOf() {
	ctx := context.Background()
	sub, err := ringside.Attach(ctx, ringside.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()
	calls, err := ringside.PerCPURowsOf[uint32, uint64](sub, "calls")
	if err != nil {
		log.Fatal(err)
	}
	for batch := range sub.Batches(ctx) {
		for key, slots := range calls.In(batch) {
			var sum uint64
			for cpu := range slots.Len() {
				sum += *slots.On(cpu)
			}
			fmt.Println(*key, sum)
		}
	}
}

// A packed struct, which Go cannot describe, is read a column at a time.
func ExampleColumnOf() {
	ctx := context.Background()
	sub, err := ringside.Attach(ctx, ringside.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()
	size, err := ringside.ColumnOf[uint64](sub, "events", "value.bytes")
	if err != nil {
		log.Fatal(err)
	}
	name, err := ringside.BytesOf(sub, "events", "value.comm")
	if err != nil {
		log.Fatal(err)
	}
	for batch := range sub.Batches(ctx) {
		sizes, names := size.In(batch), name.In(batch)
		for i := range sizes.Len() {
			fmt.Printf("%s %d\n", names.At(i), sizes.At(i))
		}
	}
}
