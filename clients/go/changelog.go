// SPDX-License-Identifier: Apache-2.0

package ringside

import "slices"

// changelog notes which slots of a store a scan has written. With it the table's
// other copy, which holds what was before, becomes equal by copying just those;
// and what has changed is found by comparing just those.
//
// A slot may be noted twice. To know that it was would take a bit for each, and
// for each change a wait for the memory of that bit.
type changelog struct {
	everything bool     // too much to note: copy and compare all
	slots      []uint32 // whose tag, key and value were written
	values     []uint32 // whose value alone was, as most are
	most       int
}

// logShare is the part of a table from which on copying all of it, in order, is
// cheaper than copying what was noted, here and there.
const logShare = 8

// begin starts a scan of changes on s.
func (l *changelog) begin(s *store) {
	l.slots, l.values, l.everything, l.most = l.slots[:0], l.values[:0], false, s.room/logShare
}

// all notes everything. There is no more to say until begin.
func (l *changelog) all() { l.everything = true }

func (l *changelog) slot(i int)  { l.note(&l.slots, i) }
func (l *changelog) value(i int) { l.note(&l.values, i) }

func (l *changelog) note(list *[]uint32, i int) {
	if l.everything {
		return
	}
	*list = append(*list, uint32(i))
	l.everything = len(l.slots)+len(l.values) > l.most
}

// catchUp makes s, which the log's scan did not change, equal to from, which it
// did. Both have the same room.
func (l *changelog) catchUp(s, from *store) {
	if l.everything {
		s.fill(from)
		return
	}
	s.n = from.n
	for _, i := range l.slots {
		s.copyRow(int(i), from, int(i))
	}
	s.copyValues(l.values, from)
}

// sorted is each of the slots, once.
func (l *changelog) sorted() []uint32 {
	l.slots = append(l.slots, l.values...)
	slices.Sort(l.slots)
	l.slots, l.values = slices.Compact(l.slots), l.values[:0]
	return l.slots
}

// bytes is how much memory the log takes.
func (l *changelog) bytes() int { return 4 * (cap(l.slots) + cap(l.values)) }
