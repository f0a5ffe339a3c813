// SPDX-License-Identifier: Apache-2.0

package changes

import (
	"context"
	"fmt"

	"github.com/ringside-bpf/ringside/reader"
)

// lookupKeys is how many keys are looked up at once.
const lookupKeys = 512

// lookups is room for keys that a scan has missed.
type lookups struct {
	keys  []byte
	slots [lookupKeys]uint32
	twice [lookupKeys]bool // the scan before had missed it, too
	there [lookupKeys]bool
	count int
}

// tally is what one scan has brought.
type tally struct{ changed, deleted, confirmed uint64 }

// Finish implements reader.Finisher: it decides about the keys that the scan
// has not met, and publishes the last frame.
func (s *Stage) Finish(ctx context.Context, look *reader.Lookup) error {
	s.ctx = ctx
	err := s.err
	if err == nil && s.history != nil && s.history.met < s.history.rows {
		err = s.settle(look)
	}
	if err == nil {
		err = s.out.end(ctx)
	}
	if err != nil {
		s.abandon()
		return err
	}
	s.complete()
	return nil
}

// settle goes over the rows that this scan has not met.
func (s *Stage) settle(look *reader.Lookup) error {
	h, l := s.history, &s.lookup
	l.count = 0
	for slot, twice := h.missing(0); slot != none; slot, twice = h.missing(slot + 1) {
		// Once is no reason to doubt a row, but a keyframe should not tell of it
		// what may be long past.
		if !twice && !s.keyframe {
			continue
		}
		copy(l.keys[l.count*s.key:], h.row(slot)[:s.key])
		l.slots[l.count], l.twice[l.count] = slot, twice
		if l.count++; l.count == lookupKeys {
			if err := s.judge(look); err != nil {
				return err
			}
		}
	}
	return s.judge(look)
}

// judge asks for the keys that were gathered, and publishes what follows.
func (s *Stage) judge(look *reader.Lookup) error {
	h, l := s.history, &s.lookup
	n := l.count
	if l.count = 0; n == 0 {
		return nil
	}
	if err := look.Find(s.ctx, l.keys[:n*s.key], l.there[:n]); err != nil {
		return err
	}
	for i, slot := range l.slots[:n] {
		row := h.row(slot)
		gone := l.twice[i] && !l.there[i]
		switch {
		case l.there[i]:
			h.found(slot)
			s.brought.confirmed++
		case gone:
			s.dirty = true
			s.brought.deleted++
			h.remove(slot)
		}
		// A keyframe tells of all that is there; else of what is not.
		var err error
		if s.keyframe && !gone {
			err = s.out.add(s.ctx, row, false)
		} else if !s.keyframe && gone {
			err = s.out.add(s.ctx, row[:s.key], true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// complete files a scan that was published whole.
func (s *Stage) complete() {
	s.running, s.since = false, s.since+1
	if s.history != nil {
		s.history.straighten()
	}
	if s.keyframe {
		s.since, s.whole = 1, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.stats
	switch {
	case s.keyframe:
		t.Keyframes++
	case s.out.frames > 0:
		t.Changes++
	default:
		t.Quiet++
	}
	t.ChangedRows += s.brought.changed
	t.DeletedRows += s.brought.deleted
	t.Confirmed += s.brought.confirmed
	s.remember(t)
}

// abandon ends a scan that cannot be completed. Whoever needed it to be a keyframe,
// such as a ring that has none yet, needs the next one to be.
func (s *Stage) abandon() {
	s.running, s.err = false, nil
	if s.dirty || s.out.frames > 0 || s.keyframe {
		s.whole = false
	}
	if s.history != nil {
		s.history.rewind()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(&s.stats)
}

// remember notes what the history takes. The caller holds mu.
func (s *Stage) remember(t *Stats) {
	t.HistoryBytes, t.Full = 0, s.full
	if s.history != nil {
		t.HistoryBytes = s.history.bytes()
	}
}

// homeless gives the history up: there is no memory for another row. A keyframe
// goes on without it.
func (s *Stage) homeless() error {
	h := s.history
	s.full = fmt.Sprintf("%d rows of %d bytes did not fit into the history, which may take %d bytes with all others (reader.history)",
		h.rows, h.stride, s.budget.limit)
	h.drop()
	s.history = nil
	if s.keyframe {
		return nil
	}
	s.whole = false
	return fmt.Errorf("%w: %s", ErrMemory, s.full)
}

// retry makes a history again, once what the last scan saw would fit.
func (s *Stage) retry() {
	if s.history != nil || int64(s.entries)*rowCost(s.key, s.value) > s.budget.free()/8*7 {
		return
	}
	s.history, s.full = newHistory(s.key, s.value, s.budget), ""
	s.whole = false
}
