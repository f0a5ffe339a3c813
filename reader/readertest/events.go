// SPDX-License-Identifier: Apache-2.0

package readertest

import (
	"bytes"
	"context"
	"testing"
)

// Events is a reader.EventDestination. It holds the reader to its contract and
// gives what was committed to a function. Set the fields before the first frame.
type Events struct {
	Most int // size of the largest event; default 1 MiB
	// OnClaim runs before each claim; its error is the claim's.
	OnClaim func(least, most int) error
	// OnAdd runs before each event is added.
	OnAdd func()
	// OnEvent is given each event that was committed, in order; the bytes are
	// its to keep.
	OnEvent func(event []byte)
	// OnCommit runs behind a frame.
	OnCommit func(events int)

	tb     testing.TB
	open   bool
	room   int
	frame  [][]byte
	Aborts int
}

// NewEvents keeps frames in memory until they are committed.
func NewEvents(tb testing.TB, onEvent func(event []byte)) *Events {
	return &Events{tb: tb, Most: 1 << 20, OnEvent: onEvent}
}

// Largest implements reader.EventDestination.
func (e *Events) Largest() int { return e.Most }

// Claim implements reader.EventDestination.
func (e *Events) Claim(ctx context.Context, least, most int) error {
	if e.open || least <= 0 || least > most {
		e.tb.Errorf("claim of %d to %d bytes; one is open: %v", least, most, e.open)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.OnClaim != nil {
		if err := e.OnClaim(least, most); err != nil {
			return err
		}
	}
	e.open, e.room, e.frame = true, most, e.frame[:0]
	return nil
}

// Add implements reader.EventDestination.
func (e *Events) Add(events []byte, length, stride, count int) (added int) {
	for ; added < count && e.add(events[added*stride:][:length]); added++ {
	}
	if added == 0 && len(e.frame) == 0 {
		e.tb.Errorf("an event of %d bytes does not fit what was claimed for it, %d", length, e.room)
	}
	return added
}

func (e *Events) add(event []byte) bool {
	need := (len(event)+7)&^7 + 8
	if !e.open || need > e.room || len(event) > e.Most {
		return false
	}
	if e.OnAdd != nil {
		e.OnAdd()
	}
	e.room -= need
	e.frame = append(e.frame, bytes.Clone(event))
	return true
}

// Commit implements reader.EventDestination.
func (e *Events) Commit() {
	if !e.open || len(e.frame) == 0 {
		e.tb.Errorf("commit of %d events; a claim is open: %v", len(e.frame), e.open)
	}
	e.open = false
	for _, event := range e.frame {
		e.OnEvent(event)
	}
	if e.OnCommit != nil {
		e.OnCommit(len(e.frame))
	}
}

// Abort implements reader.EventDestination.
func (e *Events) Abort() {
	if !e.open {
		e.tb.Error("abort without a claim")
	}
	e.open = false
	e.Aborts++
}
