// SPDX-License-Identifier: Apache-2.0

//go:build !race

package ringside

import (
	"sync/atomic"

	"github.com/ringside-bpf/ringside/shm/fence"
)

// guard tells a reader of a store whether the store was written meanwhile: a
// sequence lock. Readers store nothing, so that any number of them cost each
// other nothing, and the writer never waits for one.
//
// Only a store that the table does not show is written. So whoever finds it
// written finds a newer one shown, and looks there.
//
// Ordering: begin raises the number to odd before anything is stored (StoreStore);
// leave loads it again when everything was loaded (LoadLoad). Who loaded one byte
// of the writer's sees the number raised. What a reader loaded in vain are plain
// words of a store: see there why nothing worse can come of it.
type guard struct{ number atomic.Uint64 }

// enter is before reading; !ok: the store is being written.
func (g *guard) enter() (number uint64, ok bool) {
	number = g.number.Load()
	return number, number&1 == 0
}

// leave is after reading, and reports whether what was read is of one piece.
func (g *guard) leave(number uint64) bool {
	fence.LoadLoad()
	return g.number.Load() == number
}

// begin and end are around writing.
func (g *guard) begin() {
	g.number.Add(1)
	fence.StoreStore()
}

func (g *guard) end() { g.number.Add(1) }
