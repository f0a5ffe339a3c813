// SPDX-License-Identifier: Apache-2.0

package record

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// Options of a recording.
type Options struct {
	Socket, Ring string
	File         string        // must not be there yet
	Bytes        uint64        // most bytes of frames to keep; 0: DefaultBytes, or the ring's own size if that is more
	Patience     time.Duration // how long the sidecar may be gone
}

// DefaultBytes bounds a recording of which nothing else was said.
const DefaultBytes = 256 << 20

// endPatience bounds the end of a recording; nothing is in flight then.
const endPatience = 5 * time.Second

// Summary is what a recording came to.
type Summary struct {
	Frames      uint64 `json:"frames"` // recorded
	Rows        uint64 `json:"rows"`
	LostFrames  uint64 `json:"lost_frames"`
	LostRows    uint64 `json:"lost_rows"`
	Exact       bool   `json:"exact"`              // nothing else was lost
	Overwritten uint64 `json:"overwritten_frames"` // of Frames, to make room for newer ones
	Restarts    int    `json:"restarts"`
}

var (
	// ErrTooSmall: the file could not hold the ring's largest frame.
	ErrTooSmall = errors.New("too small for this ring")
	// ErrStaysAway: the sidecar went away and did not come back in time.
	ErrStaysAway = errors.New("the sidecar is gone and did not come back")
)

// Run records until ctx ends, which is no error. The file is complete whenever
// Run returns a summary with frames, also together with an error.
func Run(ctx context.Context, o Options) (*Summary, error) {
	a, err := dial(ctx, &o, shm.StartKeyframe)
	if err != nil {
		return nil, err
	}
	r := &recorder{options: o, sum: Summary{Exact: true}}
	if err := r.create(a.Ring.Geometry()); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	err = r.record(ctx, a)
	if errors.Is(err, ctx.Err()) {
		err = nil
	}
	return &r.sum, errors.Join(err, r.end())
}

type recorder struct {
	options Options
	file    *shm.File
	sum     Summary
	sources []*source // of the ring that is being read, by number
	names   map[string]*shm.Producer
}

// create makes the file. Its frames may be as large as the ring's, and its
// catalog holds those of several rings in turn, which repeat their schemas.
func (r *recorder) create(g shm.Geometry) error {
	bytes := r.options.Bytes
	if bytes == 0 {
		bytes = max(DefaultBytes, g.DataBytes)
	}
	if bytes < g.DataBytes {
		return fmt.Errorf("%d bytes: %w: its frames are up to %d bytes, an eighth of it; keep at least %d", bytes, ErrTooSmall, g.LargestFrame, g.DataBytes)
	}
	f, err := shm.CreateFile(r.options.File, shm.Config{
		Name: g.Name, DataBytes: bytes, Sources: 4 * g.CatalogCap, HeapBytes: g.HeapBytes,
	})
	r.file, r.names = f, map[string]*shm.Producer{}
	return err
}

func (r *recorder) end() error {
	r.sum.Overwritten = r.file.Ring().Begin(shm.StartOldest, shm.AnySource).Seq
	total := r.file.Totals()
	r.sum.Frames, r.sum.Rows = total.Frames, total.Rows
	ctx, cancel := context.WithTimeout(context.Background(), endPatience)
	defer cancel()
	return r.file.End(ctx)
}

// record follows one ring after the other.
func (r *recorder) record(ctx context.Context, a *handoff.Attachment) error {
	start := shm.StartKeyframe
	for {
		pos, clean, err := r.follow(ctx, a, start)
		epoch := a.Epoch
		if err = errors.Join(err, a.Close()); err != nil {
			return err
		}
		// What a young ring has published already counts as lost if it cannot
		// be had: begin as far back as there is something.
		start = shm.StartOldest
		if a, err = r.again(ctx, epoch); err != nil {
			return err
		}
		if a.Epoch == epoch { // the lease was lost, not the ring
			a.Position = pos
			continue
		}
		r.sum.Restarts++
		r.sum.LostFrames += a.Position.Seq
		r.sum.LostRows += a.Position.Rows
		r.sum.Exact = r.sum.Exact && clean
		r.sources = nil
	}
}

func dial(ctx context.Context, o *Options, start shm.Start) (*handoff.Attachment, error) {
	conn, err := handoff.Dial(ctx, o.Socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.Attach(ctx, handoff.AttachRequest{Ring: o.Ring, Consumer: "ringside record", Start: start})
}

// again attaches to the ring that took the place of the one with this epoch.
func (r *recorder) again(ctx context.Context, epoch uint64) (*handoff.Attachment, error) {
	began := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		a, err := dial(ctx, &r.options, shm.StartOldest)
		switch {
		case err == nil && (a.Epoch != epoch || a.Ring.State() == shm.StateLive):
			return a, nil
		case err == nil:
			a.Close() // still the old one
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, handoff.ErrNotAllowed), errors.Is(err, handoff.ErrNotFound):
			return nil, err
		}
		if time.Since(began) > r.options.Patience {
			return nil, errors.Join(ErrStaysAway, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
