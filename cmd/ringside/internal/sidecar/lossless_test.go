// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// TestConsumerHoldsItsOwnRingUp: a consumer that stands still holds up the
// lossless ring that it attached to, whose maps have all workers, and no other.
// Then it is evicted, told so, and its user not let in again, until all who were
// have to attach anew.
func TestConsumerHoldsItsOwnRingUp(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	flags := config.Flags{ReadWhenIdle: true}
	for _, name := range []string{"a", "b", "c"} {
		flags.Maps = append(flags.Maps, bpftest.Pin(t, newMap(t, 500, 512), dir, name)+"=2ms")
	}
	cfg, err := flags.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	other := cfg.Rings[0]
	other.Name = "other"
	cfg.Rings = append(cfg.Rings, other)
	cfg.Maps[2].Ring = other.Name
	cfg.Reader.WorkersMax, cfg.Reader.Duty = 2, 1
	cfg.Rings[0].Bytes, cfg.Rings[0].Lossless, cfg.Rings[0].StallTimeout = 64<<10, true, 2*time.Second
	r := serveConfig(t, cfg)
	a, c := r.attach(shm.StartHead)
	defer a.Close()
	consumer := func(d *status.Document) *status.Consumer { return &d.Rings[0].Consumers[0] }
	before := r.eventually("a consumer that holds the ring up", func(d *status.Document) bool { return consumer(d).State == status.Holding })
	r.eventually("scans of the other ring meanwhile", func(d *status.Document) bool {
		if s := consumer(d).State; s != status.Holding {
			t.Fatalf("it is %s by now", s)
		}
		return d.Rings[1].Sources[0].Scans >= before.Rings[1].Sources[0].Scans+5
	})
	r.eventually("a warning", func(d *status.Document) bool { return has(d, status.RingHeld) || consumer(d).Evicted })
	doc := r.eventually("eviction", func(d *status.Document) bool { return consumer(d).State == status.Evicted })
	line := doc.Rings[0]
	if line.Delivery != "lossless" || line.Stalls == 0 || line.StalledNS < int64(time.Second/2) || line.Evictions != 1 || !has(doc, status.ConsumerEvicted) || !a.Page.Evicted() {
		t.Errorf("%+v\n%+v", line, doc.Health)
	}
	r.barred()
	r.eventually("frames after it", func(d *status.Document) bool { return d.Rings[0].Head > line.Head+2*line.Bytes })
	buf := make([]byte, a.Ring.Geometry().LargestFrame)
	for s := shm.Ready; s == shm.Ready && c.Loss().Frames == 0; {
		_, _, _, s = c.Next(buf)
	}
	if c.Loss().Frames == 0 || c.Err() != nil {
		t.Errorf("it reads on with %+v lost, %v", c.Loss(), c.Err())
	}
	r.replaceMain()
	r.attach(shm.StartOldest)
}

// barred is what the user of the evicted consumer is told.
func (r *running) barred() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := handoff.Dial(ctx, r.config.Socket.Path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	_, err = conn.Attach(ctx, handoff.AttachRequest{Ring: "main"})
	if !errors.Is(err, shm.ErrBarred) || !errors.Is(err, syscall.EBUSY) || !strings.Contains(err.Error(), "attach again in") {
		r.t.Errorf("attach after the eviction: %v", err)
	}
}

func has(d *status.Document, code status.Code) bool {
	return slices.ContainsFunc(d.Health.Reasons, func(r status.Reason) bool { return r.Code == code })
}
