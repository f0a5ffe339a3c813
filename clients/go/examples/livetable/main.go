// SPDX-License-Identifier: Apache-2.0

// Command livetable prints what a map holds, and then every change of it, until
// Ctrl-C: livetable flows
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/shm/schema"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatalf("usage: %s MAP", os.Args[0])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := follow(ctx, os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func follow(ctx context.Context, source string) error {
	// A program that knows the map's types says OpenTable[Key, Value] instead.
	table, err := ringside.OpenRawTable(ctx, ringside.Options{Source: source})
	if err != nil {
		return err
	}
	defer table.Close()
	if err := table.Wait(ctx); err != nil {
		return err
	}
	types := table.Snapshot().Source().Schema
	if types == nil {
		types = &schema.Schema{} // hex
	}
	table.OnChange(func(key, old, new []byte) { // tells what is there first
		line := types.Key.Append([]byte("  "), key)
		switch {
		case new == nil:
			line[0] = '-'
		case old == nil:
			line = types.Value.Append(append(line, ' '), new)
			line[0] = '+'
		default:
			line = types.Value.Append(append(line, ' '), new)
			line[0] = '~'
		}
		fmt.Printf("%s\n", line)
	})
	<-ctx.Done()
	return nil
}
