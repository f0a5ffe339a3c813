// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"iter"
)

// RawTable is [Table] for keys and values as bytes: for maps that are per CPU,
// for layouts that no Go type has, and for programs that learn only at run time
// what they read. A map that is replaced by one of other sizes is followed.
type RawTable struct {
	tracker
	lifetime
}

// OpenRawTable is [OpenTable].
func OpenRawTable(ctx context.Context, o Options) (*RawTable, error) {
	return openTable(ctx, o, RawTableOf)
}

// RawTableOf is [TableOf].
func RawTableOf(s *Subscription, source string) (*RawTable, error) {
	v, err := s.addView(source, func(src *Source) (fit, error) {
		err := src.requireRows("RawTable")
		return fit{ok: err == nil}, err
	})
	if err != nil {
		return nil, err
	}
	t := &RawTable{}
	t.init(v)
	return t, nil
}

// Apply is [Table.Apply].
func (t *RawTable) Apply(b *Batch) (changed bool) { return t.apply(b) }

// Get appends the value of a key to dst, all CPUs of it if the map is per CPU.
func (t *RawTable) Get(dst, key []byte) (value []byte, ok bool) {
	h := t.seed.hash(key)
	for { // as in Table.Get
		s := t.shown.Load()
		number, still := s.guard.enter()
		if !still {
			continue
		}
		at, found := s.find(h, key)
		if found {
			value = append(dst, s.value(at)...)
		}
		switch {
		case !s.guard.leave(number):
		case found:
			return value, true
		default:
			return dst, false
		}
	}
}

// OnChange is [Table.OnChange].
func (t *RawTable) OnChange(f func(key, old, new []byte)) { t.listen(f) }

// Snapshot is the table as it is now, and stays.
func (t *RawTable) Snapshot() *RawSnapshot { return &RawSnapshot{t.snapshot()} }

// RawSnapshot is a [RawTable] at one moment, as [Snapshot] is.
type RawSnapshot struct{ snapshot }

// Get is the value of a key, or nil. The bytes are the snapshot's.
func (s *RawSnapshot) Get(key []byte) []byte {
	store := s.use()
	if at, ok := store.slotFor(key); ok {
		return store.value(at)
	}
	return nil
}

// All walks the keys and values, in no order. The bytes are the snapshot's.
func (s *RawSnapshot) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		store := s.use()
		for i := range store.taken {
			if !yield(store.key(i), store.value(i)) {
				return
			}
		}
	}
}
