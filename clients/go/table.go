// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"iter"
	"reflect"
)

// Table is the current content of a map, kept from the stream: from keyframes,
// and from changes where the sidecar publishes those. It always shows one whole
// scan, never parts of two, and says when that may not be the newest any more:
// [Table.Fresh], [Table.Status].
//
// Keys are compared as the kernel compares them, byte by byte; padding and blank
// fields of K count as zero in what is looked up.
//
// A Table may be read by any number of goroutines at once, at any time, without
// locks. It takes the memory of two copies of the map, and one more for each
// snapshot that is held. Maps that are per CPU, or whose layout Go cannot
// describe, are for [RawTable].
type Table[K, V any] struct {
	tracker
	lifetime
	holes []hole
}

// OpenTable attaches to the ring, keeps the table of the source that o names,
// and reads until ctx ends or the table is closed. The errors are those of
// [Attach] and [RowsOf]. [Table.Wait] waits for the first content.
func OpenTable[K, V any](ctx context.Context, o Options) (*Table[K, V], error) {
	return openTable(ctx, o, TableOf[K, V])
}

// TableOf is a table that the program's own loop keeps, so that one loop can
// feed several, and do other things with what it reads:
//
//	for batch, err := range sub.Batches(ctx) {
//		...
//		flows.Apply(batch)
//		conns.Apply(batch)
//	}
//
// Every batch must be applied, remarks included, from the first on.
func TableOf[K, V any](s *Subscription, source string) (*Table[K, V], error) {
	rows, err := RowsOf[K, V](s, source)
	if err != nil {
		return nil, err
	}
	t := &Table[K, V]{holes: holesOf(whole(reflect.TypeFor[K]()))}
	t.init(rows.view)
	return t, nil
}

// Apply takes what concerns the table from a batch of [Subscription.Batches],
// and reports whether that changed what the table shows, or whether it is fresh.
// It is for tables of [TableOf], in the loop's goroutine.
func (t *Table[K, V]) Apply(b *Batch) (changed bool) { return t.apply(b) }

// All walks the keys and values of one scan, in no order. A loop that takes
// longer than a scan holds that scan's copy, as a snapshot does.
func (t *Table[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		s := t.Snapshot()
		defer s.Release()
		s.All()(yield)
	}
}

// OnChange calls f for every key whose value has changed: after each scan, when
// the table shows it already, in the goroutine that applies it. old is nil if
// the key is new, new is nil if it is gone. Keys that are there already are new
// to f, and told before OnChange returns. After a loss f is told the difference
// when a keyframe has come, so what f keeps is again what the table shows.
//
// The pointers are valid until f returns. f may read the table, and must not
// wait: while it runs nothing is read. It is never called twice at once.
func (t *Table[K, V]) OnChange(f func(key K, old, new *V)) {
	t.listen(func(key, old, new []byte) {
		var was, is *V
		if old != nil {
			was = valueOf[V](old)
		}
		if new != nil {
			is = valueOf[V](new)
		}
		f(*valueOf[K](key), was, is)
	})
}

// Snapshot is the table as it is now, and stays.
func (t *Table[K, V]) Snapshot() *Snapshot[K, V] {
	return &Snapshot[K, V]{t.snapshot(), t.holes}
}

// Snapshot is a table at one moment: one whole scan of the map. It never
// changes, whatever the table does, and lives as long as it is kept. It may be
// read by any number of goroutines at once.
type Snapshot[K, V any] struct {
	snapshot
	holes []hole
}

// Get is the value of a key.
func (s *Snapshot[K, V]) Get(key K) (value V, ok bool) {
	fillHoles(bytesOf(&key), s.holes)
	store := s.use()
	if found := lookup[K, V](store, store.seed.hash(bytesOf(&key)), &key); found != nil {
		return *found, true
	}
	return value, false
}

// All walks the keys and values, in no order.
func (s *Snapshot[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		store := s.use()
		for i := range store.taken {
			if !yield(*valueOf[K](store.key(i)), *valueOf[V](store.value(i))) {
				return
			}
		}
	}
}

// hole is padding of a Go type, or a blank field.
type hole struct{ from, to int }

// holesOf finds the bytes of g that no named field covers.
func holesOf(g goField) []hole {
	named := make([]bool, g.size())
	var mark func(g goField)
	mark = func(g goField) {
		switch g.typ.Kind() {
		case reflect.Struct:
			for f := range fields(g) {
				if f.name() != "_" {
					mark(f)
				}
			}
		case reflect.Array:
			for i := range g.typ.Len() {
				mark(g.elem(i))
			}
		default:
			for i := g.offset; i < g.end(); i++ {
				named[i] = true
			}
		}
	}
	mark(g)
	var holes []hole
	for i := 0; i < len(named); i++ {
		from := i
		for i < len(named) && !named[i] {
			i++
		}
		if i > from {
			holes = append(holes, hole{from, i})
		}
	}
	return holes
}

func fillHoles(key []byte, holes []hole) {
	for _, h := range holes {
		clear(key[h.from:h.to])
	}
}
