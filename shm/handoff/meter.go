// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"maps"
	"sync"
	"time"
)

const (
	// burst is how many requests and connections a uid may make at once, price
	// how long it takes to earn another one: 200 a second. A consumer needs two
	// for a ring; a monitor that asks every second needs two a second.
	burst = 64
	price = time.Second / 200

	// rememberedUIDs bounds the memory of a meter. It is more than a machine's
	// processes manage to connect in the time in which an empty bucket fills, so
	// that it is not exhausted by somebody who owns a range of uids.
	rememberedUIDs = 4096
)

// bucket holds up to burst tokens, one for a request or a connection. It may owe
// some: whoever took those waits for them, in the order of taking.
//
// That it is full at some time says all about it, the zero value that it is now.
type bucket struct {
	full time.Time
}

// take takes a token, which may be used after pause. If that is longer than
// patience, it takes none, and pause is patience.
func (b *bucket) take(now time.Time, patience time.Duration) (pause time.Duration, ok bool) {
	full := b.full
	if full.Before(now) {
		full = now
	}
	full = full.Add(price)
	if pause = max(0, full.Sub(now)-burst*price); pause > patience {
		return patience, false
	}
	b.full = full
	return pause, true
}

// meter has a bucket for every uid. It remembers one until its bucket is full
// again, whatever becomes of its connections: hanging up pays no debts.
type meter struct {
	mu    sync.Mutex
	uids  map[uint32]*bucket
	rest  bucket    // of all uids together for whom there is no room
	sweep time.Time // when to forget next
}

func newMeter() *meter { return &meter{uids: map[uint32]*bucket{}} }

// take is bucket.take of a uid. Root pays nothing: it may stop the sidecar.
func (m *meter) take(uid uint32, now time.Time, patience time.Duration) (pause time.Duration, ok bool) {
	if uid == 0 {
		return 0, true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(uid, now).take(now, patience)
}

func (m *meter) of(uid uint32, now time.Time) *bucket {
	if b := m.uids[uid]; b != nil {
		return b
	}
	if !now.Before(m.sweep) {
		maps.DeleteFunc(m.uids, func(_ uint32, b *bucket) bool { return !b.full.After(now) })
		m.sweep = now.Add(burst * price)
	}
	if len(m.uids) >= rememberedUIDs {
		return &m.rest
	}
	b := &bucket{}
	m.uids[uid] = b
	return b
}
