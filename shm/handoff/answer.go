// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"

	"github.com/ringside-bpf/ringside/shm"
)

// grant is what the sidecar says when it lends a ring.
type grant struct {
	source    uint16
	epoch     uint64
	pos       shm.Position
	ringBytes uint64
}

// answer is one packet of an answer.
type answer struct {
	kind    uint16
	status  syscall.Errno
	total   uint64
	offset  uint64
	payload []byte
}

func (g *grant) encode() []byte {
	b := make([]byte, grantBytes)
	le := binary.LittleEndian
	le.PutUint16(b[offGrantSource:], g.source)
	le.PutUint64(b[offGrantEpoch:], g.epoch)
	le.PutUint64(b[offGrantOffset:], g.pos.Offset)
	le.PutUint64(b[offGrantSeq:], g.pos.Seq)
	le.PutUint64(b[offGrantRows:], g.pos.Rows)
	le.PutUint64(b[offGrantBytes:], g.ringBytes)
	return b
}

func decodeGrant(b []byte) (g grant, err error) {
	if len(b) < grantBytes {
		return g, fmt.Errorf("%w: grant of %d bytes, expected %d", ErrProtocol, len(b), grantBytes)
	}
	le := binary.LittleEndian
	return grant{
		source: le.Uint16(b[offGrantSource:]),
		epoch:  le.Uint64(b[offGrantEpoch:]),
		pos: shm.Position{
			Offset: le.Uint64(b[offGrantOffset:]),
			Seq:    le.Uint64(b[offGrantSeq:]),
			Rows:   le.Uint64(b[offGrantRows:]),
		},
		ringBytes: le.Uint64(b[offGrantBytes:]),
	}, nil
}

// encode appends the packet to b.
func (a *answer) encode(b []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, answerBytes)...)
	h := b[at:]
	le := binary.LittleEndian
	putHead(h, a.kind)
	le.PutUint32(h[offStatus:], uint32(a.status))
	le.PutUint32(h[offLength:], uint32(len(a.payload)))
	le.PutUint64(h[offTotal:], a.total)
	le.PutUint64(h[offOffset:], a.offset)
	return append(b, a.payload...)
}

// decodeAnswer interprets what a sidecar sent; the payload is a part of b.
func decodeAnswer(b []byte) (a answer, err error) {
	kind, err := decodeHead(b)
	if err != nil {
		return a, err
	}
	if len(b) < answerBytes || kind&typeAnswer == 0 {
		return a, fmt.Errorf("%w: %d bytes of type %#x are no answer", ErrProtocol, len(b), kind)
	}
	le := binary.LittleEndian
	a = answer{
		kind: kind, status: syscall.Errno(le.Uint32(b[offStatus:])),
		total: le.Uint64(b[offTotal:]), offset: le.Uint64(b[offOffset:]), payload: b[answerBytes:],
	}
	n := uint64(len(a.payload))
	if uint64(le.Uint32(b[offLength:])) != n || a.total > documentBytes || a.offset > a.total || n > a.total-a.offset {
		return a, fmt.Errorf("%w: %d bytes at %d of %d do not agree", ErrProtocol, n, a.offset, a.total)
	}
	return a, nil
}

// refusal makes an answer of a no.
func refusal(kind uint16, r *Refusal) *answer {
	text := strings.ToValidUTF8(r.Error(), "?")
	if len(text) > textBytes {
		text = strings.ToValidUTF8(text[:textBytes], "")
	}
	return &answer{kind: kind | typeAnswer, status: r.Errno, total: uint64(len(text)), payload: []byte(text)}
}
