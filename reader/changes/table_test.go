// SPDX-License-Identifier: Apache-2.0

package changes_test

import (
	"maps"

	"github.com/ringside-bpf/ringside/shm"
)

// table is the content of one map, kept from the stream by nothing but the
// protocol's rules.
type table struct {
	key, value int
	rows       map[string]string
	fresh      bool

	open     bool // a scan has begun and not ended
	keyframe bool // it is one
	shadow   map[string]string
	deleted  []string
	seq      uint32
	seen     bool // seq is known

	keyframes, changes int // applied
}

// lost is told of any loss on the ring.
func (t *table) lost() { t.fresh, t.open, t.seen = false, false, false }

func (t *table) apply(h *shm.Header, payload []byte) {
	if t.seen && h.SourceSeq != t.seq {
		t.lost()
	}
	t.seq, t.seen = h.SourceSeq+1, true
	if h.Flags&shm.FlagFirst != 0 {
		t.fresh = t.fresh && !t.open // a scan that broke off
		t.open, t.keyframe = true, h.Flags&shm.FlagKeyframe != 0
		t.shadow, t.deleted = map[string]string{}, nil
	}
	if !t.open {
		return
	}
	for i := range h.Rows {
		key := string(payload[h.KeysOffset-shm.HeaderBytes+i*h.KeyStride:][:t.key])
		if h.Kind == shm.KindDeletes {
			t.deleted = append(t.deleted, key)
			continue
		}
		t.shadow[key] = string(payload[h.ValuesOffset-shm.HeaderBytes+i*h.ValueStride:][:t.value])
	}
	if h.Flags&shm.FlagLast != 0 {
		t.open = false
		t.swap()
	}
}

// swap takes a whole scan in, at once.
func (t *table) swap() {
	switch {
	case t.keyframe:
		t.rows, t.fresh = t.shadow, true
		t.keyframes++
	case t.fresh:
		maps.Copy(t.rows, t.shadow)
		for _, key := range t.deleted {
			delete(t.rows, key)
		}
		t.changes++
	}
}
