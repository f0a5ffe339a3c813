// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/ringside-bpf/ringside/shm"
)

func TestMessagesSurviveTheirCoding(t *testing.T) {
	want := AttachRequest{
		Ring: strings.Repeat("r", 63), Consumer: "größer", Source: strings.Repeat("s", 127), Start: shm.StartHead,
	}
	b, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRequest(b)
	if err != nil || got.kind != typeAttach || got.attach != want {
		t.Errorf("got %+v, %v", got, err)
	}
	g := grant{source: 3, epoch: 1 << 63, pos: shm.Position{Offset: 4, Seq: 5, Rows: 6}, ringBytes: 7}
	if back, err := decodeGrant(g.encode()); err != nil || back != g {
		t.Errorf("got %+v, %v", back, err)
	}
}

func TestRefusalTextsFit(t *testing.T) {
	for _, text := range []string{"", "no", strings.Repeat("ü", 4000), "bad \xff path", strings.Repeat("\xff", 4000)} {
		a, err := decodeAnswer(refusal(typeAttach, &Refusal{syscall.EACCES, text}).encode(nil))
		if err != nil || a.status != syscall.EACCES || len(a.payload) > textBytes || len(a.payload) == 0 || !utf8.Valid(a.payload) {
			t.Errorf("%.20q became %.20q: %v", text, a.payload, err)
		}
	}
}

// Whatever a client sends is either a request that encodes to the same bytes,
// or a refusal that fits a packet.
func FuzzDecodeRequest(f *testing.F) {
	f.Add(attachRequest(nil))
	f.Add(encodePlain(typeStatus))
	f.Add([]byte("RSH1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRequest(b)
		if err != nil {
			var refused *Refusal
			if !errors.As(err, &refused) || refused.Errno == 0 {
				t.Fatalf("an error that cannot be sent: %v", err)
			}
			if n := len(refusal(r.kind, refused).encode(nil)); n > answerBytes+textBytes {
				t.Fatalf("a refusal of %d bytes", n)
			}
			return
		}
		again := encodePlain(r.kind)
		if r.kind == typeAttach {
			if again, err = r.attach.encode(); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%x is understood as %x", b, again)
		}
	})
}

// Whatever a sidecar sends is either an answer whose numbers agree, or an error.
func FuzzDecodeAnswer(f *testing.F) {
	f.Add(packet(answer{kind: typeStatus | typeAnswer, total: 9, offset: 3, payload: []byte("abcdef")}))
	f.Add(packet(*refusal(typeAttach, Refuse(syscall.EACCES, "no"))))
	g := grant{source: 1}
	f.Add(packet(answer{kind: typeAttach | typeAnswer, total: grantBytes, payload: g.encode()}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAnswer(b)
		if err != nil {
			return
		}
		if a.offset+uint64(len(a.payload)) > a.total || a.total > documentBytes {
			t.Fatalf("%d bytes at %d of %d", len(a.payload), a.offset, a.total)
		}
		if _, err := decodeGrant(a.payload); (err == nil) != (len(a.payload) >= grantBytes) {
			t.Fatalf("grant of %d bytes: %v", len(a.payload), err)
		}
	})
}
