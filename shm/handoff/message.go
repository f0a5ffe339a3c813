// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/ringside-bpf/ringside/shm"
)

// One packet of the socket is one message. All integers are little-endian, all
// texts UTF-8, padded with NUL where their room is fixed. Reserved bytes are
// zero: a sidecar refuses a request in which they are not, so that a later
// version may give them a meaning.
const (
	// magic opens every message: the bytes "RSH1".
	magic = 0x31485352
	// version of the messages. A sidecar answers no other.
	version = 1
)

// Types of messages. An answer has the type of its request and typeAnswer.
const (
	typeAttach = 1
	typeStatus = 2
	typeRings  = 3
	// typeWake comes from the sidecar, unasked. Its content means nothing: that
	// the socket became readable is the message.
	typeWake = 0x4001

	typeAnswer = 0x8000
	// typeRefused answers what could not be understood, or was not even read.
	typeRefused = typeAnswer
)

// Offsets in every message.
const (
	offMagic   = 0
	offType    = 4
	offVersion = 6
	headBytes  = 8
)

// Offsets in requests. STATUS and RINGS are plainBytes long.
const (
	offStart    = 8
	offFlags    = 12 // reserved
	offRing     = 16
	offConsumer = 80
	offSource   = 144
	offSpare    = 272 // reserved
	attachBytes = 288

	plainBytes = 16 // of which the last eight are reserved

	ringNameBytes     = 64 // one NUL at least
	consumerNameBytes = 64
	sourceNameBytes   = shm.SourceNameBytes
)

// Offsets in answers: a head, then length bytes of payload. A payload that does
// not fit one packet comes in several, in order.
const (
	offStatus   = 8  // 0, or a Linux errno: then the payload is a text
	offLength   = 12 // of the payload in this packet
	offTotal    = 16 // of the payload in all packets of this answer
	offOffset   = 24 // of this packet's payload in all of it
	answerBytes = 32

	// chunkBytes is the most payload in one packet. It fits any socket buffer.
	chunkBytes = 32 << 10
	// textBytes is the most that an error's text is long.
	textBytes = 1024
	// documentBytes is the most that a client takes as one answer.
	documentBytes = 64 << 20
)

// Offsets in the payload that grants an ATTACH. Two descriptors come with it,
// in this order: the ring, the control page.
const (
	offGrantSource = 0
	offGrantEpoch  = 8
	offGrantOffset = 16
	offGrantSeq    = 24
	offGrantRows   = 32
	offGrantBytes  = 40
	grantBytes     = 48
)

// AttachRequest names a ring and says where to begin.
type AttachRequest struct {
	Ring     string // at most 63 bytes
	Consumer string // the consumer's own name, for `ringside status`; at most 63 bytes
	Source   string // whose keyframe to begin at; at most 127 bytes; "" means any
	Start    shm.Start
}

// request is a decoded request; only an ATTACH has a body.
type request struct {
	kind   uint16
	attach AttachRequest
}

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

func putHead(b []byte, kind uint16) {
	le := binary.LittleEndian
	le.PutUint32(b[offMagic:], magic)
	le.PutUint16(b[offType:], kind)
	le.PutUint16(b[offVersion:], version)
}

// encodePlain makes a STATUS or RINGS request.
func encodePlain(kind uint16) []byte {
	b := make([]byte, plainBytes)
	putHead(b, kind)
	return b
}

// encode makes an ATTACH request, or says which name is impossible.
func (r *AttachRequest) encode() ([]byte, error) {
	b := make([]byte, attachBytes)
	putHead(b, typeAttach)
	binary.LittleEndian.PutUint32(b[offStart:], uint32(r.Start))
	for _, f := range []struct {
		what, name string
		room       []byte
	}{
		{"ring", r.Ring, b[offRing:offConsumer]},
		{"consumer", r.Consumer, b[offConsumer:offSource]},
		{"source", r.Source, b[offSource:offSpare]},
	} {
		if err := checkName(f.what, f.name, len(f.room)-1); err != nil {
			return nil, err
		}
		copy(f.room, f.name)
	}
	return b, nil
}

// decodeRequest interprets what a client sent. Every error is a *Refusal that
// can be sent back.
func decodeRequest(b []byte) (request, error) {
	kind, err := decodeHead(b)
	if err != nil {
		return request{}, err
	}
	want := plainBytes
	switch kind {
	case typeStatus, typeRings:
	case typeAttach:
		want = attachBytes
	default:
		return request{kind: kind}, Refuse(syscall.EOPNOTSUPP, "request of type %#x is unknown to this sidecar: use a client of its version", kind)
	}
	r := request{kind: kind}
	if len(b) != want {
		return r, Refuse(syscall.EPROTO, "request of type %d has %d bytes, expected %d", kind, len(b), want)
	}
	if kind == typeAttach {
		r.attach, err = decodeAttach(b)
		return r, err
	}
	return r, checkReserved(b[headBytes:])
}

func decodeHead(b []byte) (kind uint16, err error) {
	le := binary.LittleEndian
	if len(b) < headBytes || le.Uint32(b[offMagic:]) != magic {
		return 0, Refuse(syscall.EPROTO, "%v: message does not begin with RSH1", ErrProtocol)
	}
	if v := le.Uint16(b[offVersion:]); v != version {
		return 0, Refuse(syscall.EPROTONOSUPPORT, "message has version %d, this side speaks %d: use a client of the sidecar's version", v, version)
	}
	return le.Uint16(b[offType:]), nil
}

func decodeAttach(b []byte) (r AttachRequest, err error) {
	r.Start = shm.Start(binary.LittleEndian.Uint32(b[offStart:]))
	if r.Start > shm.StartHead {
		return r, Refuse(syscall.EINVAL, "start %d is none of 0 (keyframe), 1 (oldest), 2 (head)", uint32(r.Start))
	}
	if err = checkReserved(b[offFlags:offRing]); err == nil {
		err = checkReserved(b[offSpare:])
	}
	for _, f := range []struct {
		what string
		to   *string
		room []byte
	}{
		{"ring", &r.Ring, b[offRing:offConsumer]},
		{"consumer", &r.Consumer, b[offConsumer:offSource]},
		{"source", &r.Source, b[offSource:offSpare]},
	} {
		if err == nil {
			*f.to, err = decodeName(f.what, f.room)
		}
	}
	return r, err
}

func decodeName(what string, room []byte) (string, error) {
	name, rest, ended := bytes.Cut(room, []byte{0})
	if !ended {
		return "", Refuse(syscall.EINVAL, "%s name has no NUL within %d bytes", what, len(room))
	}
	if err := checkReserved(rest); err != nil {
		return "", err
	}
	return string(name), checkName(what, string(name), len(room)-1)
}

// checkName keeps names short, and free of what would act on the terminal of
// whoever lists them.
func checkName(what, name string, most int) error {
	if len(name) > most {
		return Refuse(syscall.ENAMETOOLONG, "%s name %q has %d bytes, at most %d fit", what, name, len(name), most)
	}
	if !utf8.ValidString(name) {
		return Refuse(syscall.EINVAL, "%s name %q is not UTF-8", what, name)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return Refuse(syscall.EINVAL, "%s name %q holds a character that does not print", what, name)
		}
	}
	return nil
}

func checkReserved(b []byte) error {
	for _, x := range b {
		if x != 0 {
			return Refuse(syscall.EINVAL, "request sets reserved bytes, which this sidecar does not understand: use a client of its version")
		}
	}
	return nil
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
