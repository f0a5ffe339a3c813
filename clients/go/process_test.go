// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// playSidecar serves at args[0] and publishes flows as fast as it can, until
// stdin ends; then it says how many.
func playSidecar(args []string) error {
	p, err := shm.Create(shm.Config{Name: DefaultRing, DataBytes: 256 << 10})
	if err != nil {
		return err
	}
	producer, err := p.AddSource(flowInfo("flows"))
	if err != nil {
		return err
	}
	server, err := handoff.Listen(args[0], handoff.Options{Mode: 0o666})
	if err != nil {
		return err
	}
	s := &sidecar{ring: p, leases: map[*handoff.Lease]struct{}{}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, s) }()
	fmt.Println("serving")
	f := &feed{producer: producer}
	for done := stdinEnds(); ; {
		select {
		case <-done:
			fmt.Println("published", f.rows)
			if err := p.Finish(ctx, shm.StateEnded); err != nil {
				return err
			}
			cancel() // after the state: whoever hears the hang-up finds it
			return <-served
		default:
			p.Beat()
			if err := f.publish(ctx, rand.IntN(60)); err != nil {
				return err
			}
		}
	}
}

// playReader reads from the sidecar at args[0], checks every row, and prints
// what happens, until stdin ends.
func playReader(args []string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-stdinEnds(); cancel() }()
	sub, err := Attach(ctx, Options{Socket: args[0], Start: StartOldest})
	if err != nil {
		return err
	}
	defer sub.Close()
	typed, err := RowsOf[flowKey, flow](sub, "flows")
	if err != nil {
		return err
	}
	fmt.Printf("attached as %d\n", os.Geteuid())
	var got tally
	batches := 0
	for b, err := range sub.Batches(ctx) {
		if err != nil {
			return err
		}
		before := got.rows + got.lost
		if got.add(typed, b); got.err != nil {
			return got.err
		}
		switch b.Kind {
		case KindGone:
			fmt.Println("gone")
		case KindRestart:
			fmt.Println("restart", b.Lost.Exact, "after", before)
		case KindRows:
			if batches++; batches%100 == 0 {
				fmt.Println("reading", batches)
			}
		}
	}
	fmt.Println("end")
	return nil
}

// A reader of another user outlives many sidecars that are killed, notices each
// death, and is never given a torn row.
func TestSidecarKilledAtAnyPoint(t *testing.T) {
	path := socketPath(t)
	sidecar := start(t, os.Geteuid(), "sidecar", path)
	sidecar.expect(t, "serving")
	reader := start(t, bpftest.Nobody, "reader", path)
	if uid := reader.expect(t, "attached as"); uid != fmt.Sprint(bpftest.Nobody) {
		t.Errorf("reads as %s", uid)
	}
	for range 12 {
		for range 1 + rand.IntN(5) {
			reader.expect(t, "reading")
		}
		sidecar.kill()
		reader.expect(t, "gone")
		sidecar = start(t, os.Geteuid(), "sidecar", path)
		reader.expect(t, "restart false")
	}
	reader.expect(t, "reading")
	reader.finish(t, "end")
}

// A sidecar that ends in order leaves its readers with an exact account, over as
// many lives as it likes.
func TestSidecarRestartsInOrder(t *testing.T) {
	path := socketPath(t)
	var published uint64
	var reader *process
	for life := range 5 {
		sidecar := start(t, os.Geteuid(), "sidecar", path)
		sidecar.expect(t, "serving")
		if life == 0 {
			reader = start(t, bpftest.Nobody, "reader", path)
			reader.expect(t, "attached")
		} else {
			var accounted uint64
			if _, err := fmt.Sscan(reader.expect(t, "restart true after"), &accounted); err != nil {
				t.Fatal(err)
			}
			if life > 1 && accounted != published { // it came in the middle of the first
				t.Errorf("life %d: %d rows got or lost, %d were published", life, accounted, published)
			}
			published = accounted
		}
		for range 3 {
			reader.expect(t, "reading")
		}
		var rows uint64
		if _, err := fmt.Sscan(sidecar.finish(t, "published"), &rows); err != nil {
			t.Fatal(err)
		}
		published += rows
		reader.expect(t, "gone")
	}
	reader.finish(t, "end")
}
