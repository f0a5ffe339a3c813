// SPDX-License-Identifier: Apache-2.0

// Command eventtap prints the records of a ring buffer, as one of any number of
// readers of it: eventtap connects, or, of a ring of its own, eventtap connects taps
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/shm/schema"
)

func main() {
	if len(os.Args) != 2 && len(os.Args) != 3 {
		log.Fatalf("usage: %s RINGBUF [RING]", os.Args[0])
	}
	o := ringside.Options{Source: os.Args[1], Start: ringside.StartOldest}
	if len(os.Args) == 3 {
		o.Ring = os.Args[2]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := tap(ctx, o); err != nil {
		log.Fatal(err)
	}
}

func tap(ctx context.Context, o ringside.Options) error {
	sub, err := ringside.Attach(ctx, o)
	if err != nil {
		return err
	}
	defer sub.Close()
	out := bufio.NewWriter(os.Stdout)
	for batch, err := range sub.Batches(ctx) {
		switch {
		case err != nil:
			return err
		case batch.Kind == ringside.KindEvents:
			var record *schema.Type // nil: unknown, hex
			if types := batch.Source.Schema; types != nil {
				record = types.Value
			}
			for i := range batch.Rows {
				fmt.Fprintf(out, "%s\n", record.Append(nil, batch.Event(i)))
			}
		default:
			fmt.Fprintln(out, batch.Kind, batch.Lost.Rows, "events lost")
		}
		out.Flush()
	}
	return nil
}
