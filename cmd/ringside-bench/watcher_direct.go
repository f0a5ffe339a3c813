// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	ours "github.com/ringside-bpf/ringside/reader/ringbuf"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// openDirect makes the watcher the ringbuf's own reader, which needs root and can
// be only one. It is what everything else is held against.
func (w *watcher) openDirect(ctx context.Context) (loop func() error, err error) {
	m, err := ebpf.LoadPinnedMap(w.pin, nil)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", w.pin, err)
	}
	if w.busy {
		return w.openDirectBusy(ctx, m)
	}
	r, err := ringbuf.NewReader(m)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	stop := context.AfterFunc(ctx, func() { r.Flush() })
	return func() error {
		defer stop()
		var record ringbuf.Record
		for {
			err := r.ReadInto(&record)
			now := monotonic.Now()
			if errors.Is(err, ringbuf.ErrFlushed) {
				return errors.Join(r.Close(), m.Close())
			}
			if err != nil {
				return errors.Join(err, r.Close(), m.Close())
			}
			w.arrived(now, record.RawSample)
		}
	}, nil
}

// openDirectBusy never sleeps.
func (w *watcher) openDirectBusy(ctx context.Context, m *ebpf.Map) (loop func() error, err error) {
	r, err := ours.Map(m.FD(), int(m.MaxEntries()))
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	r.Resync()
	return func() (err error) {
		for err == nil && ctx.Err() == nil {
			var run ours.Run
			if run, err = r.Peek(); run.Count == 0 {
				continue
			}
			w.arrived(monotonic.Now(), run.Records[:run.Length])
			r.Advance(1)
			r.Release()
		}
		return errors.Join(err, r.Close(), m.Close())
	}, nil
}

func (w *watcher) arrived(now uint64, record []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.record(now, record)
	w.seen.Rows++
}
