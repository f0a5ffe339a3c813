// SPDX-License-Identifier: Apache-2.0

// Command scanhash prints a line for each whole scan of a map: how many rows it
// had, and a hash of them that does not depend on their order. It does so in every
// language, so the lines of two readers of one ring can be compared: scanhash MAP
package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"log"
	"os"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatalf("usage: %s MAP", os.Args[0])
	}
	log.Fatal(follow(os.Args[1]))
}

func follow(source string) error {
	sub, err := ringside.Attach(context.Background(), ringside.Options{Source: source})
	if err != nil {
		return err
	}
	defer sub.Close()
	var scan struct {
		whole      bool
		rows, hash uint64
	}
	var seen, lost uint64 // rows since attach
	for batch, err := range sub.Batches(context.Background()) {
		if err != nil {
			return err
		}
		if batch.Kind != ringside.KindRows {
			lost += batch.Lost.Rows
			scan.whole = false
			continue
		}
		if batch.First {
			scan.whole, scan.rows, scan.hash = true, 0, 0
		}
		for i := range batch.Rows {
			h := fnv.New64a()
			h.Write(batch.Key(i))
			h.Write(batch.Value(i))
			scan.hash += h.Sum64()
		}
		scan.rows += uint64(batch.Rows)
		seen += uint64(batch.Rows)
		if batch.Last && scan.whole {
			fmt.Printf("{\"scan\":%d,\"rows\":%d,\"hash\":\"%016x\",\"seen\":%d,\"lost\":%d}\n", batch.Scan, scan.rows, scan.hash, seen, lost)
		}
	}
	return nil
}
