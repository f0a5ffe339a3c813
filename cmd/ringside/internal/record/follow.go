// SPDX-License-Identifier: Apache-2.0

package record

import (
	"context"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// source is one of the ring's, and its like in the file.
type source struct {
	producer *shm.Producer
	state    shm.SourceState
	met      bool
	next     uint32 // number of its frame that should come next
}

// follow copies what a ring has until it ends. clean: there was nothing more;
// without it the sidecar went without a word.
func (r *recorder) follow(ctx context.Context, a *handoff.Attachment, start shm.Start) (pos shm.Position, clean bool, err error) {
	cursor := a.Cursor(start)
	defer func() {
		lost := cursor.Loss()
		r.sum.LostFrames += lost.Frames
		r.sum.LostRows += lost.Rows
		pos = cursor.Position()
	}()
	for hung := false; ctx.Err() == nil; {
		h, payload, _, status := cursor.Peek()
		switch {
		case status == shm.Ready:
			if err := r.copy(ctx, a.Ring, cursor, &h, payload); err != nil {
				return pos, false, err
			}
		case status == shm.Corrupt:
			return pos, false, cursor.Err()
		case status == shm.Ended:
			return pos, true, r.mirror(a.Ring)
		case status == shm.Empty && hung:
			return pos, false, nil
		case status == shm.Empty:
			if err := r.mirror(a.Ring); err != nil {
				return pos, false, err
			}
			r.file.Beat() // with the time of day that belongs to its frames
			_, err := a.Wait(ctx, cursor.Position().Offset)
			hung = err != nil // and what was committed before comes first
		}
	}
	return pos, false, ctx.Err()
}

// copy takes over one frame, unless it is overwritten meanwhile.
func (r *recorder) copy(ctx context.Context, ring *shm.Ring, cursor *shm.Cursor, h *shm.Header, payload []byte) error {
	if int(h.Source) >= len(r.sources) {
		if err := r.mirror(ring); err != nil {
			return err
		}
	}
	src := r.sources[h.Source] // the cursor has looked it up in the catalog
	claim, err := src.producer.Claim(ctx, len(payload), len(payload))
	if err != nil {
		return err
	}
	copy(claim, payload)
	if !cursor.Valid() {
		src.producer.Abort()
		return nil
	}
	if src.met && h.SourceSeq != src.next {
		src.producer.Skip(h.SourceSeq - src.next)
	}
	src.met, src.next = true, h.SourceSeq+1
	src.producer.Commit(shm.Content{
		Kind: h.Kind, Flags: h.Flags, Rows: h.Rows, Bytes: len(payload), Scan: h.Scan, TimeNS: h.TimeNS,
		KeysOffset: h.KeysOffset - shm.HeaderBytes, KeyStride: h.KeyStride,
		ValuesOffset: h.ValuesOffset - shm.HeaderBytes, ValueStride: h.ValueStride,
	})
	cursor.Advance()
	return nil
}

// mirror takes over what is new in the ring's catalog. A source of a later ring
// takes the place of the one that had its name.
func (r *recorder) mirror(ring *shm.Ring) error {
	for n := len(r.sources); n < ring.Sources(); n++ {
		info, err := ring.Source(n)
		if err != nil {
			return err
		}
		p, err := r.file.AddSource(info)
		if err != nil {
			return err
		}
		r.sources = append(r.sources, &source{producer: p, state: shm.SourceActive})
		if state, _ := ring.SourceState(n); state != shm.SourceActive {
			continue // it has left its name to another one
		}
		if old := r.names[info.Name]; old != nil {
			old.Supersede(p)
		}
		r.names[info.Name] = p
	}
	for n, src := range r.sources {
		state, by := ring.SourceState(n)
		switch {
		case state == src.state:
		case state == shm.SourceSuperseded && by > n && by < len(r.sources):
			src.producer.Supersede(r.sources[by].producer)
			src.state = state
		case state == shm.SourceGone:
			src.producer.Retire()
			src.state = state
		}
	}
	return nil
}
