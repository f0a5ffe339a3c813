// SPDX-License-Identifier: Apache-2.0

package changes

import "testing"

// TestSlabs: what is cut is zeroed and nobody else's, and stays within the budget.
func TestSlabs(t *testing.T) {
	const size = 100_000
	budget := NewBudget(slabBytes + slabBytes/2)
	var s slabs
	var cut [][]byte
	for {
		mem := s.cut(size, budget)
		if mem == nil {
			break
		}
		cut = append(cut, mem)
	}
	if len(cut) != slabBytes/size || s.bytes() != slabBytes || budget.Used() != slabBytes {
		t.Fatalf("%d pieces of %d bytes, %d of the budget", len(cut), s.bytes(), budget.Used())
	}
	for i, mem := range cut {
		for at, b := range mem {
			if b != 0 {
				t.Fatalf("byte %d of piece %d is %d's", at, i, b-1)
			}
			mem[at] = byte(i + 1)
		}
		if len(mem) != size || cap(mem) != size {
			t.Fatalf("%d bytes, %d can be had", len(mem), cap(mem))
		}
	}
	if s.cut(slabBytes/2, NewBudget(1<<30)) != nil {
		t.Fatal("half a slab at once: the other may be lost")
	}
	if s.drop(budget); budget.Used() != 0 || s.bytes() != 0 {
		t.Fatalf("%d bytes left, %d of the budget", s.bytes(), budget.Used())
	}
}
