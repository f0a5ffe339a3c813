// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"math/rand/v2"
	"testing"
	"time"
)

var noon = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)

func TestBucketGivesABurstThenARate(t *testing.T) {
	var b bucket
	for i := range burst {
		if pause, ok := b.take(noon, 0); pause != 0 || !ok {
			t.Fatalf("token %d of a full bucket: pause %v, %v", i, pause, ok)
		}
	}
	if _, ok := b.take(noon, 0); ok {
		t.Error("an empty bucket gave a token to somebody without patience")
	}
	for i := range time.Duration(10) { // they queue, one price apart
		if pause, ok := b.take(noon, time.Second); pause != (i+1)*price || !ok {
			t.Errorf("debt %d: pause %v, %v; expected %v", i, pause, ok, (i+1)*price)
		}
	}
	if pause, ok := b.take(noon, 10*price); pause != 10*price || ok {
		t.Errorf("eleven prices for a patience of ten: pause %v, %v", pause, ok)
	}
	// What was refused was not taken: the debt is ten.
	if pause, ok := b.take(noon.Add(11*price), 0); pause != 0 || !ok {
		t.Errorf("when debts are paid: pause %v, %v", pause, ok)
	}
	if _, ok := b.take(noon.Add(11*price), 0); ok {
		t.Error("two tokens for the price of one")
	}
	later := noon.Add(time.Hour)
	for range burst {
		b.take(later, 0)
	}
	if _, ok := b.take(later, 0); ok {
		t.Error("an hour of silence earned more than a burst")
	}
}

// However a client asks, it is never served more than a burst and the rate.
func TestBucketHoldsItsRate(t *testing.T) {
	var b bucket
	var now, last time.Duration // of the flood; the latest token
	served := 0
	for now < 20*time.Second {
		now += time.Duration(rand.Int64N(int64(2 * price)))
		for range rand.IntN(2 * burst) {
			pause, ok := b.take(noon.Add(now), 100*price)
			if !ok {
				break
			}
			served, last = served+1, max(last, now+pause)
			if most := burst + int(last/price); served > most {
				t.Fatalf("%d tokens within %v, at most %d", served, last, most)
			}
		}
	}
	if least := int(last / price); served < least {
		t.Errorf("a client that always asks got %d tokens within %v, expected %d", served, last, least)
	}
}

func TestMeterRemembersUntilABucketIsFull(t *testing.T) {
	m := newMeter()
	empty := func(uid uint32, now time.Time) {
		for range burst {
			m.take(uid, now, 0)
		}
	}
	empty(1, noon)
	if _, ok := m.take(1, noon, 0); ok {
		t.Error("uid 1 has tokens left")
	}
	if _, ok := m.take(2, noon, 0); !ok {
		t.Error("uid 2 pays for uid 1")
	}
	for range 10 * burst {
		if pause, ok := m.take(0, noon, 0); pause != 0 || !ok {
			t.Fatal("root was made to wait")
		}
	}
	almost := noon.Add(burst*price - 1)
	m.take(3, almost, 0)
	if m.uids[1] == nil {
		t.Error("uid 1 was forgotten in debt")
	}
	m.take(4, almost.Add(1), 0)
	if m.uids[1] != nil || m.uids[2] != nil || m.uids[3] == nil {
		t.Errorf("remembered are %v; expected 3 and 4", m.uids)
	}
}

// Somebody who owns very many uids cannot make the meter grow, and those for
// whom there is no room are metered together.
func TestMeterIsBounded(t *testing.T) {
	m := newMeter()
	served := 0
	for uid := range uint32(rememberedUIDs + 1000) {
		if _, ok := m.take(1000+uid, noon, 0); ok {
			served++
		}
	}
	if len(m.uids) != rememberedUIDs || served != rememberedUIDs+burst {
		t.Errorf("%d uids remembered, %d served; expected %d and %d", len(m.uids), served, rememberedUIDs, rememberedUIDs+burst)
	}
	if _, ok := m.take(1, noon.Add(burst*price), 0); !ok || len(m.uids) != 1 {
		t.Errorf("%d uids remembered when all are full, expected 1; served: %v", len(m.uids), ok)
	}
}
