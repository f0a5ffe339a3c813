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
	for done := bpftest.RoleMayEnd(); ; {
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
	go func() { <-bpftest.RoleMayEnd(); cancel() }()
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
	sidecar := bpftest.StartRole(t, os.Geteuid(), nil, "sidecar", path)
	sidecar.Expect(t, "serving")
	reader := bpftest.StartRole(t, bpftest.Nobody, nil, "reader", path)
	if uid := reader.Expect(t, "attached as"); uid != fmt.Sprint(bpftest.Nobody) {
		t.Errorf("reads as %s", uid)
	}
	for range 12 {
		for range 1 + rand.IntN(5) {
			reader.Expect(t, "reading")
		}
		sidecar.Kill()
		reader.Expect(t, "gone")
		sidecar = bpftest.StartRole(t, os.Geteuid(), nil, "sidecar", path)
		reader.Expect(t, "restart false")
	}
	reader.Expect(t, "reading")
	reader.Last(t, "end")
}

// A sidecar that ends in order leaves its readers with an exact account, over as
// many lives as it likes.
func TestSidecarRestartsInOrder(t *testing.T) {
	path := socketPath(t)
	var published uint64
	var reader *bpftest.Role
	for life := range 5 {
		sidecar := bpftest.StartRole(t, os.Geteuid(), nil, "sidecar", path)
		sidecar.Expect(t, "serving")
		if life == 0 {
			reader = bpftest.StartRole(t, bpftest.Nobody, nil, "reader", path)
			reader.Expect(t, "attached")
		} else {
			var accounted uint64
			if _, err := fmt.Sscan(reader.Expect(t, "restart true after"), &accounted); err != nil {
				t.Fatal(err)
			}
			if life > 1 && accounted != published { // it came in the middle of the first
				t.Errorf("life %d: %d rows got or lost, %d were published", life, accounted, published)
			}
			published = accounted
		}
		for range 3 {
			reader.Expect(t, "reading")
		}
		var rows uint64
		if _, err := fmt.Sscan(sidecar.Last(t, "published"), &rows); err != nil {
			t.Fatal(err)
		}
		published += rows
		reader.Expect(t, "gone")
	}
	reader.Last(t, "end")
}
