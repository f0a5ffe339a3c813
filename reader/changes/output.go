// SPDX-License-Identifier: Apache-2.0

package changes

import (
	"context"

	"github.com/ringside-bpf/ringside/reader"
)

// frameBytes is what rows are gathered to before they are published.
const frameBytes = 64 << 10

// frameAlign is what frames are padded to, as reader does.
const frameAlign = 64

func alignUp(n int) int { return (n + frameAlign - 1) &^ (frameAlign - 1) }

// output gathers rows and keys of one scan into frames. The destination's
// memory is claimed only for the time of a copy: nobody else who publishes there
// has to wait for a scan.
type output struct {
	sink      reader.Destination
	keyStride int          // where a row's value begins
	common    reader.Frame // what all frames of this scan have in common
	limit     int          // bytes a frame
	frames    int          // published

	pending []byte
	count   int  // rows in it
	size    int  // of each
	deletes bool // they are keys that are gone
}

// begin makes ready for a scan.
func (o *output) begin(scan uint64, keyframe bool) {
	o.common = reader.Frame{Scan: scan, Keyframe: keyframe}
	o.limit = min(frameBytes, o.sink.Largest())
	o.frames, o.count, o.pending = 0, 0, o.pending[:0]
}

// add appends a row, or a key that is gone.
func (o *output) add(ctx context.Context, row []byte, deletes bool) error {
	if o.count > 0 && (o.deletes != deletes || len(o.pending)+len(row) > o.limit) {
		if err := o.flush(ctx, false); err != nil {
			return err
		}
	}
	o.deletes, o.size = deletes, len(row)
	o.pending = append(o.pending, row...)
	o.count++
	return nil
}

// flush publishes what is pending.
func (o *output) flush(ctx context.Context, last bool) error {
	f := o.common
	f.Rows, f.Deletes, f.Last = o.count, o.deletes, last
	f.Keys, f.Values = reader.Column{Stride: o.size}, reader.Column{Offset: o.keyStride, Stride: o.size}
	if o.count == 0 || o.deletes {
		f.Values = reader.Column{}
	}
	err := o.publish(ctx, o.pending, f)
	o.count, o.deletes, o.pending = 0, false, o.pending[:0]
	return err
}

// publish copies a frame to the destination.
func (o *output) publish(ctx context.Context, content []byte, f reader.Frame) error {
	need := max(alignUp(len(content)), frameAlign)
	if largest := o.sink.Largest(); need > largest {
		need = max(len(content), 1)
	}
	buf, err := o.sink.Claim(ctx, need, need)
	if err != nil {
		return err
	}
	clear(buf[copy(buf, content):])
	f.Length, f.First = len(content), o.frames == 0
	o.sink.Commit(f)
	o.frames++
	return nil
}

// forward publishes a frame as the engine made it.
func (o *output) forward(ctx context.Context, lent []byte, f reader.Frame) error {
	if f.Rows == 0 {
		return nil
	}
	f.Keyframe, f.Last = true, false
	return o.publish(ctx, lent[:f.Length], f)
}

// end publishes what is pending as the last of the scan. A scan that is no
// keyframe and has brought nothing is not published at all.
func (o *output) end(ctx context.Context) error {
	if o.frames == 0 && o.count == 0 && !o.common.Keyframe {
		return nil
	}
	return o.flush(ctx, true)
}
