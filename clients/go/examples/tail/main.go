// SPDX-License-Identifier: Apache-2.0

// Command tail prints every row of a ring, and what happens to it.
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := tail(ctx); err != nil {
		log.Fatal(err)
	}
}

func tail(ctx context.Context) error {
	sub, err := ringside.Attach(ctx, ringside.Options{})
	if err != nil {
		return err
	}
	defer sub.Close()
	out := bufio.NewWriter(os.Stdout)
	var line []byte
	for batch, err := range sub.Batches(ctx) {
		if err != nil {
			return err
		}
		if batch.Kind != ringside.KindRows {
			fmt.Fprintln(out, batch.Kind, batch.Lost)
		}
		for i := range batch.Rows {
			line = append(appendRow(line[:0], batch, i), '\n')
			out.Write(line)
		}
		out.Flush()
	}
	return nil
}

func appendRow(line []byte, b *ringside.Batch, i int) []byte {
	var types schema.Schema // without types: hex
	if b.Source.Schema != nil {
		types = *b.Source.Schema
	}
	line = append(types.Key.Append(append(line, b.Source.Name+" "...), b.Key(i)), ' ')
	if b.Source.CPUs > 0 {
		return schema.AppendPerCPU(line, types.Value, b.Value(i), b.Source.CPUs)
	}
	return types.Value.Append(line, b.Value(i))
}
