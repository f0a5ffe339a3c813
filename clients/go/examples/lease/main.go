// SPDX-License-Identifier: Apache-2.0

// Command lease adds up one field of a map, scan by scan, without copying a
// byte: lease processes value.runtime_ns
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatalf("usage: %s MAP FIELD", os.Args[0])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := add(ctx, os.Args[1], os.Args[2]); !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func add(ctx context.Context, source, field string) error {
	sub, err := ringside.Attach(ctx, ringside.Options{Source: source})
	if err != nil {
		return err
	}
	defer sub.Close()
	column, err := ringside.ColumnOf[uint64](sub, source, field) // checked once, now
	if err != nil {
		return err
	}
	var total uint64 // of the scan so far, while whole
	for whole := false; ; {
		var sum uint64
		var rows, first, last bool
		valid, err := sub.View(ctx, func(b *ringside.Batch) {
			rows, first, last = b.Kind == ringside.KindRows, b.First, b.Last
			for v, i := column.In(b), 0; i < v.Len(); i++ {
				sum += v.At(i)
			}
		})
		if err != nil {
			return err
		}
		if first {
			total = 0
		}
		whole = (first || whole) && valid && rows
		if total += sum; last && whole {
			fmt.Println(total)
		}
	}
}
