// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"bytes"
	"encoding/binary"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/ringside-bpf/ringside/shm"
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

// encodePlain makes a request without a body.
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
	case typeStatus, typeRings, typeReload, typeTakeover:
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
