// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// world is two maps on one ring, a third source that only takes up room, and a
// reader that keeps tables of both. Things happen to them in any order.
type world struct {
	t       *testing.T
	r       *rand.Rand
	s       *sidecar
	sub     *Subscription
	models  [2]*mapModel
	filler  *feed
	tables  [2]*Table[flowKey, flow]
	mirrors [2]mirror
	freshes int
	granted int
}

var modelNames = [2]string{"a", "b"}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 1))}
	w.s = open(t, socketPath(t), 64<<10)
	w.populate()
	w.sub = w.s.attach(t, Options{Start: StartKeyframe})
	for i, name := range modelNames {
		table, err := TableOf[flowKey, flow](w.sub, name)
		if err != nil {
			t.Fatal(err)
		}
		w.tables[i], w.mirrors[i] = table, mirror{}
		w.mirrors[i].listen(table)
	}
	return w
}

// populate adds the sources to a new ring.
func (w *world) populate() {
	for i, name := range modelNames {
		w.models[i] = addModel(w.t, w.s.ring, name)
	}
	w.filler = addFeed(w.t, w.s.ring, flowInfo("filler"))
}

// happen is one thing that happens between two frames.
func (w *world) happen() {
	switch w.r.IntN(60) {
	case 0:
		w.lap()
	case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12:
		w.read(1 + w.r.IntN(4))
	case 13, 14, 15:
		w.filler.must(w.t, 1, 5)
	}
}

// lap publishes more than a ring.
func (w *world) lap() { w.filler.must(w.t, 45, 40) }

// step has a time limit of its own: the test as a whole takes as long as it takes.
func (w *world) step() (*Batch, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	b, err := w.sub.step(ctx)
	if err == nil {
		err = ctx.Err()
	}
	return b, err
}

// read reads some batches, if there are.
func (w *world) read(batches int) {
	w.t.Helper()
	for range batches {
		if w.idle() {
			return
		}
		b, err := w.step()
		if err != nil {
			w.t.Fatal(err)
		}
		if b == nil {
			continue
		}
		for _, table := range w.tables {
			table.Apply(b)
		}
	}
}

// idle reports whether everything was read. Then the reader would sleep, and do
// before what is to be done.
func (w *world) idle() bool {
	s := w.sub
	if s.lease == nil || s.held || s.gone || s.hangs || s.restart != nil || len(s.misfits) > 0 {
		return false
	}
	if s.ring().State() != shm.StateLive || s.ring().Head() != s.cursor.Position().Offset || s.cursor.Loss() != s.told {
		return false
	}
	s.lookAfterTables()
	return true
}

// settle reads everything, and checks.
func (w *world) settle() {
	w.t.Helper()
	for !w.idle() {
		w.read(1)
	}
	for i, table := range w.tables {
		if err := w.models[i].check(table); err != nil {
			w.t.Fatal(err)
		}
		if err := w.mirrors[i].check(table); err != nil {
			w.t.Fatal(err)
		}
		if table.Fresh() {
			w.freshes++
		}
	}
}

// restart ends the ring, in the middle of whatever was being published.
func (w *world) restart() {
	old := w.s.ring
	w.s.replace(w.t, 64<<10)
	w.populate()
	w.s.finish(w.t, old, []shm.State{shm.StateSuperseded, shm.StateEnded}[w.r.IntN(2)])
}

// grant does what the reader asks for, as a heartbeat would.
func (w *world) grant() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for l := range w.s.leases {
		source, ok := l.Consumer.TakeAsk()
		for _, m := range w.models {
			if ok && (source == shm.AnySource || source == m.producer.Number()) {
				m.broken = true // as if: the next scan is a keyframe
			}
		}
		if ok {
			w.granted++
		}
	}
}

// scan publishes a scan of one of the maps, while things happen, the other map
// being published in between among them.
func (w *world) scan(i, depth int) {
	m := w.models[i]
	m.publish(w.r, w.r.IntN(5) == 0, func(int) bool {
		if depth == 0 && w.r.IntN(6) == 0 {
			w.scan(1-i, 1)
		}
		w.happen()
		switch {
		case w.models[i] != m: // the other scan saw a restart
			return false
		case depth == 0 && w.r.IntN(150) == 0:
			w.restart()
			return false
		}
		return w.r.IntN(40) != 0 // else the scan breaks off
	})
}

// replace puts another map in the place of one.
func (w *world) replace(i int) {
	old := w.models[i]
	w.models[i] = addModel(w.t, w.s.ring, modelNames[i])
	old.producer.Supersede(w.models[i].producer)
}

// A table that says that it is fresh shows what its map held when it was read,
// whatever happens; and its changes lead to the same.
func TestFreshTablesEqualTheirMaps(t *testing.T) {
	for seed := range uint64(6) {
		w := newWorld(t, seed)
		for range 700 {
			w.s.ring.Beat()
			w.grant()
			w.scan(w.r.IntN(2), 0)
			if w.r.IntN(3) > 0 {
				w.settle()
			}
			if w.r.IntN(100) == 0 && w.s.ring.Ring().Sources() < 100 {
				w.replace(w.r.IntN(2))
			}
		}
		// And it becomes fresh again.
		for i := range w.models {
			w.models[i].publish(w.r, true, func(int) bool { return true })
			w.settle()
			if !w.tables[i].Fresh() {
				t.Errorf("seed %d: %+v", seed, w.tables[i].Status())
			}
		}
		if w.freshes < 300 || w.granted == 0 || w.sub.Stats().Restarts == 0 || w.sub.Stats().Laps == 0 {
			t.Errorf("seed %d: fresh %d times, %d keyframes granted, %+v: that proves little", seed, w.freshes, w.granted, w.sub.Stats())
		}
	}
}
