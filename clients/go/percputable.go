// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"iter"
	"reflect"
)

// PerCPUTable is [Table] for maps that keep a value for each CPU; V is one
// CPU's value.
type PerCPUTable[K, V any] struct {
	tracker
	lifetime
	holes []hole
}

// OpenPerCPUTable is [OpenTable].
func OpenPerCPUTable[K, V any](ctx context.Context, o Options) (*PerCPUTable[K, V], error) {
	return openTable(ctx, o, PerCPUTableOf[K, V])
}

// PerCPUTableOf is [TableOf].
func PerCPUTableOf[K, V any](s *Subscription, source string) (*PerCPUTable[K, V], error) {
	rows, err := PerCPURowsOf[K, V](s, source)
	if err != nil {
		return nil, err
	}
	t := &PerCPUTable[K, V]{holes: holesOf(whole(reflect.TypeFor[K]()))}
	t.init(rows.view)
	return t, nil
}

// Apply is [Table.Apply].
func (t *PerCPUTable[K, V]) Apply(b *Batch) (changed bool) { return t.apply(b) }

// Get is a copy of the values of a key. It allocates; a snapshot does not.
func (t *PerCPUTable[K, V]) Get(key K) (values Slots[V], ok bool) {
	s := t.Snapshot()
	defer s.Release()
	values, ok = s.Get(key)
	return values.clone(), ok
}

// Snapshot is the table as it is now, and stays.
func (t *PerCPUTable[K, V]) Snapshot() *PerCPUSnapshot[K, V] {
	return &PerCPUSnapshot[K, V]{t.snapshot(), t.holes}
}

// OnChange is [Table.OnChange]; a value that is not there has no slots.
func (t *PerCPUTable[K, V]) OnChange(f func(key K, old, new Slots[V])) {
	t.listen(func(key, old, new []byte) {
		cpus := t.shown.Load().cpus()
		f(*valueOf[K](key), slotsOf[V](old, cpus), slotsOf[V](new, cpus))
	})
}

// PerCPUSnapshot is a [PerCPUTable] at one moment, as [Snapshot] is.
type PerCPUSnapshot[K, V any] struct {
	snapshot
	holes []hole
}

// Get is the values of a key. They are the snapshot's, and not to be written.
func (s *PerCPUSnapshot[K, V]) Get(key K) (values Slots[V], ok bool) {
	k := bytesOf(&key)
	fillHoles(k, s.holes)
	store := s.use()
	at, ok := store.slotFor(k)
	if !ok {
		return values, false
	}
	return slotsOf[V](store.value(at), store.cpus()), true
}

// All walks the keys and values, in no order. The values are the snapshot's.
func (s *PerCPUSnapshot[K, V]) All() iter.Seq2[K, Slots[V]] {
	return func(yield func(K, Slots[V]) bool) {
		store := s.use()
		cpus := store.cpus()
		for i := range store.taken {
			if !yield(*valueOf[K](store.key(i)), slotsOf[V](store.value(i), cpus)) {
				return
			}
		}
	}
}

// cpus is how many values a row has.
func (s *store) cpus() int { return s.source.Load().CPUs }

func (s Slots[V]) clone() Slots[V] {
	if s.cpus == 0 {
		return s
	}
	copied := alignedBytes(s.cpus * int(s.stride))
	copy(copied, s.bytes())
	return slotsOf[V](copied, s.cpus)
}
