// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// stalling is a destination that waits for a consumer until it is let go.
type stalling struct {
	*readertest.Memory
	waits   atomic.Bool
	release chan struct{}
}

func (d *stalling) Commit(f reader.Frame) {
	d.waits.Store(true)
	<-d.release
	d.waits.Store(false)
	d.Memory.Commit(f)
}

func (d *stalling) Stalled() bool { return d.waits.Load() }

// Scans that wait for the consumers of a lossless ring, more of them than there
// are workers, hold up no scan into another ring.
func TestStalledScansTakeNoWorker(t *testing.T) {
	inPool(t, reader.PoolOptions{Workers: 2, Duty: 100}, func(t *testing.T, p *reader.Pool) {
		release := make(chan struct{})
		for range 3 {
			_, pin := bpftest.NewPinned(t, "held", &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 8})
			s, err := reader.Open(pin, reader.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Add(reader.Job{Source: s, Destination: &stalling{Memory: readertest.New(t, 4096), release: release}, Every: time.Second}); err != nil {
				t.Fatal(err)
			}
		}
		after(100 * time.Millisecond)
		_, d := add(t, p, 10*time.Millisecond, time.Millisecond)
		after(time.Second)
		if n := d.scans.Load(); n < 90 {
			t.Errorf("%d scans in a second beside three that wait", n)
		}
		if s := p.Stats(); s.Running < 3 || s.Workers != 2 {
			t.Errorf("%d run, %d workers", s.Running, s.Workers)
		}
		close(release)
		after(100 * time.Millisecond)
		synctest.Wait()
		if s := p.Stats(); s.Running > 2 {
			t.Errorf("%d run with %d workers once nobody waits", s.Running, s.Workers)
		}
	})
}
