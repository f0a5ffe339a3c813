// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"sync/atomic"
)

// replica is a table's content in two copies: one that is shown and does not
// change, and one on which the next scan is built. When that scan is whole, they
// change places, by one store of a pointer: readers see all of a scan or nothing.
//
// Of the ways to give readers a table that stands still, this one makes both
// sides cheap. A lookup costs what it costs in a plain hash table: no lock, no
// counter, no pointers to follow, as a persistent tree has them. A change costs
// one search, and one copy of a row when the other side catches up: no
// allocation and no path to copy. The price is the second copy in memory.
//
// A snapshot pins the copy that is shown. The writer leaves a pinned copy alone
// and makes another: so a snapshot costs the writer one copy of the table, in
// order and at the speed of memory, if it is still held when the next scan but
// one begins. Its reader pays nothing.
type replica struct {
	seed  seed
	shown atomic.Pointer[store]

	// The writer's own.
	work   *store // what is being built; nil between scans
	spare  *store // what was shown before, unless it is work
	marked bool   // spare is marked as being written already
	level  bool   // spare is what is shown
	log    changelog
	ahead  ahead
}

func (r *replica) init(src *Source) {
	r.seed = newSeed()
	s := newStore(r.seed, src.KeySize, src.ValueSize, 0)
	s.source.Store(src)
	r.shown.Store(s)
	r.log.all()
}

// whole begins a scan that is complete in itself, on nothing.
func (r *replica) whole(keySize, valueSize int) {
	rows := r.shown.Load().n
	s := r.takeSpare()
	if s == nil || s.keySize != keySize || s.valueSize != valueSize || s.room > 4*max(rows, minRoom) {
		s = newStore(r.seed, keySize, valueSize, rows)
		s.guard.begin()
	} else {
		s.clear()
	}
	r.work = s
	r.log.all()
}

// changes begins a scan of changes, on what is shown.
func (r *replica) changes() {
	shown, level := r.shown.Load(), r.level
	s := r.takeSpare()
	if s == nil || s.room != shown.room || s.keySize != shown.keySize || s.valueSize != shown.valueSize {
		s = newStore(r.seed, shown.keySize, shown.valueSize, shown.room)
		s.guard.begin()
		s.fill(shown)
	} else if !level {
		r.log.catchUp(s, shown)
	}
	r.work = s
	r.log.begin(s)
}

// takeSpare is the copy that is not shown, to be written, unless a snapshot needs it.
//
// Ordering: a snapshot raises pins and then looks whether the copy is still
// shown; here another was shown first, and pins are looked at then. One of the
// two sees the other.
func (r *replica) takeSpare() *store {
	s, marked := r.spare, r.marked
	r.spare, r.marked, r.level = nil, false, false
	if s == nil || s.pins.Load() > 0 {
		return nil
	}
	if !marked {
		s.guard.begin()
	}
	return s
}

// catchUp makes the copy that is not shown what is shown, after a scan of changes:
// sooner than it must be, but now what to copy is in the processor's caches.
// Where that is all of it the next scan may be whole, too, and need none of it.
func (r *replica) catchUp() {
	if r.log.everything || r.spare.pins.Load() > 0 {
		return
	}
	if s := r.takeSpare(); s != nil {
		r.log.catchUp(s, r.shown.Load())
		r.spare, r.marked, r.level = s, true, true
	}
}

// put stores the rows of b in the scan, and reports whether there may be so many.
func (r *replica) put(b *Batch, most int) bool {
	r.ahead.start(0)
	for first := 0; first < int(b.rows); first += block {
		hashes, likely := r.ahead.ready(r.work, b, first)
		for i, h := range hashes {
			key := b.key(first + i)
			at, found := r.work.findNear(int(likely[i]), h, key)
			if !found && r.work.n == r.work.room {
				if r.work.n >= most {
					return false
				}
				r.grow(most)
				r.ahead.start(first)
				_, likely = r.ahead.ready(r.work, b, first)
				at, _ = r.work.find(h, key)
			}
			r.work.put(h, at, found, key, b.value(first+i))
			if found {
				r.log.value(at)
			} else {
				r.log.slot(at)
			}
		}
	}
	return true
}

// remove removes the rows of b from the scan.
func (r *replica) remove(b *Batch) {
	r.ahead.start(0)
	for first := 0; first < int(b.rows); first += block {
		hashes, _ := r.ahead.ready(r.work, b, first)
		for i, h := range hashes {
			r.work.remove(h, b.key(first+i), &r.log)
		}
	}
}

// grow makes room for more rows. Most maps never have more than a quarter of
// most, and some that are replaced while they are read.
func (r *replica) grow(most int) {
	room := max(2*r.work.room, minRoom)
	if usual := most/4 + most/32; r.work.room < usual {
		room = min(room, usual)
	}
	// Whoever still looks at the old one sees it marked for ever, and looks at
	// the one that is shown.
	grown := newStore(r.seed, r.work.keySize, r.work.valueSize, min(room, most))
	grown.guard.begin()
	grown.fill(r.work)
	r.work = grown
	r.log.all()
}

// drop forgets a scan that broke off. Only a whole one may follow.
func (r *replica) drop() {
	if r.work == nil {
		return
	}
	r.spare, r.work, r.marked = r.work, nil, true
}

// show ends the scan with its last batch. old is what was shown before; it stays as it is until the
// next scan begins.
func (r *replica) show(b *Batch) (old *store) {
	s := r.work
	s.source.Store(b.Source)
	s.count.Store(int64(s.n))
	s.scan.Store(b.Scan)
	s.timeNS.Store(b.TimeNS)
	s.realtime.Store(b.realtimeDiff)
	s.guard.end()
	old = r.shown.Swap(s)
	r.work, r.spare = nil, old
	return old
}

// pin is what is shown, kept as it is until unpinned.
func (r *replica) pin() *store {
	for { // as often as a scan ends between two instructions
		s := r.shown.Load()
		s.pins.Add(1)
		if r.shown.Load() == s {
			return s
		}
		s.pins.Add(-1)
	}
}

// bytes is how much memory the copies take, snapshots apart. The writer's own.
func (r *replica) bytes() int {
	n := r.shown.Load().bytes() + r.log.bytes()
	for _, s := range []*store{r.work, r.spare} {
		if s != nil {
			n += s.bytes()
		}
	}
	return n
}

// compare calls f for every key whose value is not what it was before the scan
// that was shown last; nil stands for a key that is or was not there.
func (r *replica) compare(old *store, f func(key, old, new []byte)) {
	now := r.shown.Load()
	if !r.log.everything { // so that both have the same room
		for _, i := range r.log.sorted() {
			compareOld(old, now, int(i), f)
			compareNow(old, now, int(i), f)
		}
		return
	}
	for i := range old.taken {
		compareOld(old, now, i, f)
	}
	for i := range now.taken {
		compareNow(old, now, i, f)
	}
}

// compareOld tells if the key that was at slot i is gone.
func compareOld(old, now *store, i int, f func(key, old, new []byte)) {
	if old.tags[i] == 0 {
		return
	}
	key := old.key(i)
	if _, ok := now.slotFor(key); !ok {
		f(key, old.value(i), nil)
	}
}

// compareNow tells if the key that is at slot i is new or has another value. A
// key that has moved is told of where it is now.
func compareNow(old, now *store, i int, f func(key, old, new []byte)) {
	if now.tags[i] == 0 {
		return
	}
	key, value := now.key(i), now.value(i)
	at, ok := old.slotFor(key)
	switch {
	case !ok:
		f(key, nil, value)
	case string(old.value(at)) != string(value):
		f(key, old.value(at), value)
	}
}
