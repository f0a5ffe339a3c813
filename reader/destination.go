// SPDX-License-Identifier: Apache-2.0

package reader

import "context"

// Destination is where rows land. It is used by one goroutine, with one open
// claim at a time: every Claim is followed by exactly one Commit or Abort.
type Destination interface {
	// Largest is the most bytes one claim can ever lend.
	Largest() int
	// Claim lends between min and max bytes whose first is 64-byte aligned.
	// They belong to the reader until Commit or Abort; their content is
	// whatever was there before.
	Claim(ctx context.Context, min, max int) ([]byte, error)
	// Commit makes the first Frame.Length bytes of the claim visible.
	Commit(Frame)
	// Abort gives the claim back; nothing becomes visible.
	Abort()
}

// Column says where one part of each row lies: row i begins at
// Offset + i*Stride, counted from the start of the claimed bytes.
type Column struct{ Offset, Stride int }

// Frame describes the rows in one claim. Bytes between and behind the columns,
// up to the next multiple of 64, are zero.
//
// The frames of one completed scan carry the same Scan number, First on the
// first and Last on the last, which may have no rows. A scan that was
// interrupted has no Last; the next one has another number.
type Frame struct {
	Rows, Length int
	Keys, Values Column
	Scan         uint64
	TimeNS       int64 // CLOCK_MONOTONIC, after the rows were read
	First, Last  bool

	Keyframe bool // the frames of this scan hold all rows of the map
	Deletes  bool // these are keys that are gone; there are no values
}

// Taker is a Destination that needs no copy of rows that an engine has in memory
// of its own.
type Taker interface {
	Destination
	// Take stands for a Claim. The Commit that follows is about rows: they stay
	// the engine's, and what they are until it returns.
	Take(ctx context.Context, rows []byte) error
}

// Filler is a Destination that knows better than copy how what it lent is filled:
// memory that other processors read, for one.
type Filler interface {
	Destination
	// Fill copies from into to, which is as long and a part of the open claim.
	Fill(to, from []byte)
}

// fill copies what an engine has in memory of its own into a claim.
func fill(dst Destination, to, from []byte) {
	n := min(len(to), len(from))
	if f, ok := dst.(Filler); ok {
		f.Fill(to[:n], from[:n])
		return
	}
	copy(to, from)
}

// Finisher is a Destination that has something to publish after the last row.
type Finisher interface {
	Destination
	// Finish is called when the engine has read the whole map. With an error the
	// scan was not completed. look is valid until it returns.
	Finish(ctx context.Context, look *Lookup) error
}

// Staller is a Destination that may wait for its consumers. While it does, the
// pool lets another worker have the place of the one that waits.
type Staller interface {
	// Stalled reports whether a claim waits just now. Any goroutine may call it.
	Stalled() bool
}
