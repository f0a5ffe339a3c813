// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"encoding/binary"
	"syscall"

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
	typeAttach   = 1
	typeStatus   = 2
	typeRings    = 3
	typeReload   = 4
	typeTakeover = 5

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

// Offsets in requests. All but ATTACH are plainBytes long.
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

// Offsets in the payload that grants an ATTACH. Three descriptors come with it,
// in this order: the ring, the control page, the bell.
const (
	offGrantSource = 0
	offGrantEpoch  = 8
	offGrantOffset = 16
	offGrantSeq    = 24
	offGrantRows   = 32
	offGrantBytes  = 40
	grantBytes     = 48
)

func putHead(b []byte, kind uint16) {
	le := binary.LittleEndian
	le.PutUint32(b[offMagic:], magic)
	le.PutUint16(b[offType:], kind)
	le.PutUint16(b[offVersion:], version)
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
