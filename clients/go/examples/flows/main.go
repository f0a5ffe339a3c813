// SPDX-License-Identifier: Apache-2.0

// Command flows prints the rows of a map of flows: the same program in every
// language.
package main

import (
	"context"
	"fmt"
	"log"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

type Flow struct{ Src, Dst uint32 } // as C has it: struct flow { __u32 src, dst; }
type Stats struct{ Packets, Bytes uint64 }

func main() {
	ctx := context.Background()
	sub, err := ringside.Attach(ctx, ringside.Options{Source: "flows"})
	if err != nil {
		log.Fatal(err) // names the socket, the cause and the remedy
	}
	defer sub.Close()
	flows, err := ringside.RowsOf[Flow, Stats](sub, "flows")
	if err != nil {
		log.Fatal(err) // names the first field that differs
	}
	for batch, err := range sub.Batches(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if batch.Kind == ringside.KindLost {
			log.Printf("lost %d rows", batch.Lost.Rows)
		}
		for flow, stats := range flows.In(batch) {
			fmt.Printf("%08x %08x %d\n", flow.Src, flow.Dst, stats.Bytes)
		}
	}
}
