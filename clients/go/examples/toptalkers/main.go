// SPDX-License-Identifier: Apache-2.0

// Command toptalkers shows who makes the most system calls while `ringside demo` runs.
package main

import (
	"context"
	"fmt"
	"log"
	"maps"
	"os"
	"os/signal"
	"slices"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := watch(ctx); err != nil {
		log.Fatal(err)
	}
}

type syscall struct {
	Process, Thread uint32
	Number          int32
}

func watch(ctx context.Context) error {
	sub, err := ringside.Attach(ctx, ringside.Options{Source: "syscalls"})
	if err != nil {
		return err
	}
	defer sub.Close()
	rows, err := ringside.PerCPURowsOf[syscall, uint64](sub, "syscalls")
	if err != nil {
		return err
	}
	calls, whole := map[uint32]uint64{}, false // of one scan, by process
	for batch, err := range sub.Batches(ctx) {
		if err != nil {
			return err
		}
		if whole = batch.First || whole && batch.Kind == ringside.KindRows; batch.First {
			clear(calls)
		}
		for key, slots := range rows.In(batch) {
			for cpu := range slots.Len() {
				calls[key.Process] += *slots.On(cpu)
			}
		}
		if batch.Last && whole {
			top := slices.SortedFunc(maps.Keys(calls), func(a, b uint32) int { return int(calls[b]) - int(calls[a]) })
			fmt.Println(top[:min(10, len(top))])
		}
	}
	return nil
}
