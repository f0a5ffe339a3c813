// SPDX-License-Identifier: Apache-2.0

package ringside

// changelog notes which slots of a store a scan has written. With it the table's
// other copy, which holds what was before, becomes equal by copying just those;
// and what has changed is found by comparing just those.
type changelog struct {
	everything bool // too much to note: copy and compare all
	slots      []uint32
	noted      []uint64 // a bit for each slot in slots
	most       int
}

// logShare is the part of a table from which on copying all of it, in order, is
// cheaper than copying what was noted, here and there.
const logShare = 8

// begin starts a scan of changes on s.
func (l *changelog) begin(s *store) {
	for _, i := range l.slots {
		l.noted[i/64] = 0
	}
	l.slots, l.everything, l.most = l.slots[:0], false, s.room/logShare
	if words := (len(s.tags) + 63) / 64; len(l.noted) < words {
		l.noted = make([]uint64, words)
	}
}

// all notes everything. There is no more to say until begin.
func (l *changelog) all() { l.everything = true }

func (l *changelog) slot(i int) {
	if l.everything || l.noted[i/64]&(1<<(i%64)) != 0 {
		return
	}
	l.noted[i/64] |= 1 << (i % 64)
	l.slots = append(l.slots, uint32(i))
	l.everything = len(l.slots) > l.most
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
		s.tags[i] = from.tags[i]
		copy(s.row(int(i)), from.row(int(i)))
	}
}

// bytes is how much memory the log takes.
func (l *changelog) bytes() int { return 4*cap(l.slots) + 8*cap(l.noted) }
