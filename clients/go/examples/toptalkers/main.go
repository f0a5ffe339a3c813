// SPDX-License-Identifier: Apache-2.0

// Command toptalkers shows who makes the most system calls while `ringside demo`
// runs: a table of a map, looked at once a second, and what it was a second ago.
//
//	RINGSIDE_SOCKET=$(echo /run/ringside/demo/*/ringside.sock) go run ./clients/go/examples/toptalkers
package main

import (
	"context"
	"fmt"
	"log"
	"maps"
	"os"
	"os/signal"
	"slices"
	"time"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := watch(ctx); ctx.Err() == nil {
		log.Fatal(err)
	}
}

type syscall struct {
	Process, Thread uint32
	Number          int32
}

func watch(ctx context.Context) error {
	table, err := ringside.OpenPerCPUTable[syscall, uint64](ctx, ringside.Options{Source: "syscalls"})
	if err != nil {
		return err
	}
	defer table.Close()
	before, second := map[syscall]uint64{}, time.NewTicker(time.Second)
	for ; ; <-second.C {
		if err := table.Wait(ctx); err != nil { // until it is fresh, if it is not
			return err
		}
		now, rate := map[syscall]uint64{}, map[uint32]uint64{}
		for key, slots := range table.Snapshot().All() {
			for cpu := range slots.Len() {
				now[key] += *slots.On(cpu)
			}
			rate[key.Process] += now[key] - min(now[key], before[key]) // a key may have come anew
		}
		before = now
		top := slices.SortedFunc(maps.Keys(rate), func(a, b uint32) int { return int(rate[b]) - int(rate[a]) })
		fmt.Println(top[:min(10, len(top))])
	}
}
