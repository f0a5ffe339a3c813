// SPDX-License-Identifier: Apache-2.0

package ringside

import "time"

// snapshot is what snapshots of all tables have in common.
type snapshot struct {
	store *store // nil: released
	fresh bool
}

func (r *tracker) snapshot() snapshot {
	fresh := r.fresh() // before: what is shown is then no older
	return snapshot{r.pin(), fresh}
}

func (s *snapshot) use() *store {
	if s.store == nil {
		panic("ringside: a snapshot was used after Release")
	}
	return s.store
}

// Len is how many keys there are.
func (s *snapshot) Len() int { return s.use().n }

// Scan is the number of the scan that it shows; 0: none yet.
func (s *snapshot) Scan() uint64 { return s.use().scan.Load() }

// Fresh reports whether the table was fresh when the snapshot was taken.
func (s *snapshot) Fresh() bool { return s.fresh }

// TimeNS is CLOCK_MONOTONIC when the last of the rows had been read.
func (s *snapshot) TimeNS() uint64 { return s.use().timeNS.Load() }

// Time is the time of day when the last of the rows had been read.
func (s *snapshot) Time() time.Time {
	return time.Unix(0, int64(s.use().timeNS.Load())+s.store.realtime.Load())
}

// Source is the map that the rows are of.
func (s *snapshot) Source() *Source { return s.use().source.Load() }

// Release gives the snapshot's memory back to the table, so that it need not
// make a copy of the map for its next scan. It may be left out: the garbage
// collector finds the memory, too. The snapshot must not be used any more.
func (s *snapshot) Release() {
	if s.store != nil {
		s.store.pins.Add(-1)
		s.store = nil
	}
}
