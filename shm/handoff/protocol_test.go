// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"syscall"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/internal/protodoc"
)

// The messages in the normative text are those of this package.
func TestProtocolMessages(t *testing.T) {
	const doc = "../../docs/protocol.md"
	at, number := protodoc.At, protodoc.Number
	for table, want := range map[string]map[string]protodoc.Place{
		"message": {"magic": at(offMagic, 4), "type": at(offType, 2), "version": at(offVersion, 2)},
		"attach": {
			"start": at(offStart, 4), "flags": at(offFlags, 4), "ring": at(offRing, ringNameBytes),
			"consumer": at(offConsumer, consumerNameBytes), "source": at(offSource, sourceNameBytes),
			"reserved": at(offSpare, attachBytes-offSpare),
		},
		"plain": {"reserved": at(headBytes, plainBytes-headBytes)},
		"answer": {
			"status": at(offStatus, 4), "length": at(offLength, 4), "total": at(offTotal, 8), "offset": at(offOffset, 8),
		},
		"grant": {
			"source": at(offGrantSource, 2), "reserved": at(offGrantSource+2, offGrantEpoch-offGrantSource-2),
			"epoch": at(offGrantEpoch, 8), "pos": at(offGrantOffset, 8), "seq": at(offGrantSeq, 8),
			"rows": at(offGrantRows, 8), "ring_bytes": at(offGrantBytes, 8),
		},
	} {
		protodoc.Hold(t, table, protodoc.Layout(t, doc, table), want)
	}
	for table, want := range map[string]map[string]protodoc.Place{
		"messages": {
			"ATTACH": number(typeAttach), "STATUS": number(typeStatus), "RINGS": number(typeRings),
			"RELOAD": number(typeReload), "TAKEOVER": number(typeTakeover),
			"REFUSED": number("0x8000"),
		},
		"limits": {
			"version": number(version), "message head": number(headBytes), "ATTACH request": number(attachBytes),
			"every other request": number(plainBytes), "answer head": number(answerBytes), "grant": number(grantBytes),
			"payload of one packet": number(chunkBytes), "text of a refusal": number(textBytes), "payload of an answer": number(documentBytes),
		},
		"starts": {"KEYFRAME": number(uint32(shm.StartKeyframe)), "OLDEST": number(uint32(shm.StartOldest)), "HEAD": number(uint32(shm.StartHead))},
		"errnos": {
			"EPERM": number(int(syscall.EPERM)), "ENOENT": number(int(syscall.ENOENT)), "EIO": number(int(syscall.EIO)),
			"EAGAIN": number(int(syscall.EAGAIN)), "EACCES": number(int(syscall.EACCES)), "EINVAL": number(int(syscall.EINVAL)),
			"ENAMETOOLONG": number(int(syscall.ENAMETOOLONG)), "EPROTO": number(int(syscall.EPROTO)),
			"EBUSY": number(int(syscall.EBUSY)), "EUSERS": number(int(syscall.EUSERS)), "EMSGSIZE": number(int(syscall.EMSGSIZE)),
			"EPROTONOSUPPORT": number(int(syscall.EPROTONOSUPPORT)), "EOPNOTSUPP": number(int(syscall.EOPNOTSUPP)),
			"EISCONN": number(int(syscall.EISCONN)),
		},
	} {
		protodoc.Hold(t, table, protodoc.Numbers(t, doc, table), want)
	}
	if typeRefused != 0x8000 || typeAnswer != 0x8000 || magic != 0x31485352 {
		t.Error("the numbers that the document gives in hexadecimal are others")
	}
}
