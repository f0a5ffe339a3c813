// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/shm"
)

func TestConsumerKilledAtAnyPoint(t *testing.T) {
	s := open(t, settings{})
	s.busy(t)
	stages := []string{"started", "dialled", "attached", "reading 50", "reading 100", "reading"}
	for i := range 50 {
		p := bpftest.StartRole(t, os.Geteuid(), nil, "reader", s.path)
		if stage := rand.IntN(len(stages) + 1); stage < len(stages) {
			p.Expect(t, stages[stage])
		} // else at once
		p.Kill()
		s.until(t, fmt.Sprintf("kill %d", i), func(leases, _ int) bool { return leases == 1 })
	}
}

func TestReaderOfAnotherUser(t *testing.T) {
	s := open(t, settings{})
	s.busy(t)
	p := bpftest.StartRole(t, bpftest.Nobody, nil, "reader", s.path)
	p.Expect(t, "reading 500")
	if err := p.Finish(); err != nil {
		t.Error(err)
	}
	s.until(t, "detach", func(leases, _ int) bool { return leases == 1 })
}

// The publisher is the process that dies here. Its consumer must hear of it
// before a single sleep has run out, and must not be given a torn row.
func TestPublisherKilledAtAnyPoint(t *testing.T) {
	for range 15 {
		path := directory(t) + "/s"
		publisher := bpftest.StartRole(t, os.Geteuid(), nil, "publisher", path)
		publisher.Expect(t, "listening")
		p := bpftest.StartRole(t, os.Geteuid(), nil, "reader", path)
		for range 1 + rand.IntN(10) {
			p.Expect(t, "reading")
		}
		publisher.Kill()
		if ticks := p.Expect(t, "hangup after"); ticks != "0" {
			t.Errorf("heard of the death only after %s sleeps ran out", ticks)
		}
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestRingEndsInOrder(t *testing.T) {
	path := directory(t) + "/s"
	publisher := bpftest.StartRole(t, os.Geteuid(), nil, "publisher", path)
	publisher.Expect(t, "listening")
	p := bpftest.StartRole(t, os.Geteuid(), nil, "reader", path)
	p.Expect(t, "reading")
	if err := publisher.Finish(); err != nil {
		t.Error(err)
	}
	p.Expect(t, "ended ended")
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

func init() { roles["publisher"] = playPublisher }

// playPublisher is a sidecar at args[0] until stdin ends.
func playPublisher(args []string) error {
	p, err := shm.Create(shm.Config{Name: "main", DataBytes: 1 << 16})
	if err != nil {
		return err
	}
	f, err := newFeed(p)
	if err != nil {
		return err
	}
	server, err := Listen(args[0], Options{})
	if err != nil {
		return err
	}
	h := &house{publisher: p, news: make(chan struct{}), leases: map[*Lease]struct{}{}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, h) }()
	fmt.Println("listening")
	for done := bpftest.RoleMayEnd(); ; {
		select {
		case <-done:
			if err := p.Finish(ctx, shm.StateEnded); err != nil {
				return err
			}
			// The state is stored before anybody hears of the hang-up.
			cancel()
			return <-served
		default:
			p.Beat()
			if err := f.publish(ctx, rand.IntN(60)); err != nil {
				return err
			}
		}
	}
}
