// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// tracker keeps the content of one map from the stream, whatever the types of
// its rows: it decides which scans count. It is the protocol's section 3.2.
//
// A keyframe counts if it was seen from First to Last, a scan of changes if all
// before it counted, too, and it was seen from First to Last. Anything that may
// have been missed makes the table stale until the next keyframe.
type tracker struct {
	view
	replica
	state atomic.Pointer[condition]
	size  atomic.Int64 // bytes, as of the last scan

	mu        sync.Mutex // held while a batch is applied
	listeners []func(key, old, new []byte)

	src      *Source // whose frames are followed; nil: none seen on this ring
	next     uint32  // frame of src that continues it
	known    bool    // next means something
	scanning bool
	keyframe bool // the scan is
	scan     uint64
	away     bool // nobody keeps the ring up to date
}

// maxRows is how many rows an index can number.
const maxRows = math.MaxInt32

func (t *tracker) init(v view) {
	t.view = v
	t.replica.init(v.sub.newestOf(v.source))
	t.size.Store(int64(t.bytes()))
	t.state.Store(&condition{reason: StaleNoKeyframe, since: time.Now(), over: make(chan struct{})})
	v.sub.tables = append(v.sub.tables, t)
}

// apply takes what concerns the table from a batch, and reports whether that
// has changed what it shows or whether it is fresh.
func (t *tracker) apply(b *Batch) (changed bool) {
	if b.lent {
		panic("ringside: a table is kept from batches of Batches: those of View may change under its hands")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch b.Kind {
	case KindLost:
		return t.lose(StaleLoss)
	case KindHangs:
		return t.lose(StaleHangs)
	case KindGone:
		t.away = true
		return t.lose(StaleGone)
	case KindRestart:
		t.away, t.src = false, nil
		return t.lose(StaleRestart)
	case KindRows, KindDeletes:
		if b.Source.sub == t.sub && b.Source.Name == t.source {
			return t.frame(b)
		}
	}
	return false
}

// lose is for frames that were or may have been missed.
func (t *tracker) lose(why StaleReason) bool {
	t.drop()
	t.scanning, t.known = false, false
	return t.stale(why)
}

// frame follows the scans of the source.
func (t *tracker) frame(b *Batch) bool {
	was := t.state.Load()
	if !t.follow(b) {
		return t.state.Load() != was
	}
	if t.known && b.sourceSeq != t.next {
		t.lose(StaleLoss)
	}
	t.next, t.known = b.sourceSeq+1, true
	if b.First {
		t.begin(b)
	}
	if !t.scanning || b.Scan != t.scan || b.Keyframe != t.keyframe {
		if !b.First && t.fresh() {
			t.lose(StaleBroken) // the middle of a scan without its beginning
		}
		return t.state.Load() != was
	}
	if !t.rows(b) {
		t.lose(StaleTooLarge)
	} else if b.Last {
		t.end(b)
		return true
	}
	return t.state.Load() != was
}

// follow reports whether b is of the map that the source's name stands for.
func (t *tracker) follow(b *Batch) bool {
	switch {
	case t.src == b.Source:
	case t.src != nil && b.Source.Number < t.src.Number:
		return false // the last frames of a map that was replaced
	default:
		if t.src != nil {
			t.lose(StaleReplaced)
		}
		t.src, t.known = b.Source, false
	}
	if !t.src.fits[t.index].ok {
		t.lose(StaleLayout)
		return false
	}
	return true
}

// begin begins a scan, and gives up one that has not ended.
func (t *tracker) begin(b *Batch) {
	if t.scanning {
		t.drop()
		t.stale(StaleBroken)
	}
	t.scanning, t.scan, t.keyframe = false, b.Scan, b.Keyframe
	switch {
	case b.Keyframe:
		t.whole(t.src.KeySize, t.src.ValueSize)
	case t.fresh():
		t.changes()
	default:
		t.sub.askForKeyframes() // changes to what is not known
		return
	}
	t.scanning = true
}

// rows applies one frame to the scan, and reports whether all of it fits.
func (t *tracker) rows(b *Batch) bool {
	switch {
	case b.Kind == KindDeletes && t.keyframe:
		return true // of what the keyframe does not hold anyway
	case b.Kind == KindDeletes:
		t.remove(b)
		return true
	}
	most := maxRows
	// Keys come before those go whose place they took, and one is gone only after it
	// was absent from two scans: what three scans have met is there at once. While
	// keys come and go, a scan meets more than the map ever holds.
	if t.src.MaxEntries > 0 {
		most = min(4*t.src.MaxEntries, maxRows)
	}
	return t.put(b, most)
}

// end shows the scan.
func (t *tracker) end(b *Batch) {
	t.scanning = false
	old := t.show(b)
	t.size.Store(int64(t.bytes()))
	if !t.away && !t.fresh() {
		t.become(&condition{since: time.Now(), over: make(chan struct{})})
	}
	for _, f := range t.listeners {
		t.compare(old, f)
	}
	t.catchUp()
}

// listen adds someone to be told of changes, and tells what there is.
func (t *tracker) listen(f func(key, old, new []byte)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listeners = append(t.listeners, f)
	shown := t.shown.Load()
	for i := range shown.taken {
		f(shown.key(i), nil, shown.value(i))
	}
}
