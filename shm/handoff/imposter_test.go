// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm"
)

// imposter listens where a sidecar should and answers the first request with
// packets of the test's choice, each with copies of the given descriptors.
func imposter(t *testing.T, fds []int, packets ...[]byte) *Conn {
	t.Helper()
	path := directory(t) + "/s"
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.AcceptUnix()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := conn.Read(make([]byte, attachBytes)); err != nil {
			return
		}
		for _, b := range packets {
			var rights []byte
			if fds != nil {
				rights = unix.UnixRights(fds...)
			}
			if _, _, err := conn.WriteMsgUnix(b, rights, nil); err != nil {
				return // the client has had enough
			}
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func packet(a answer) []byte { return a.encode(nil) }

// bare is a memfd of a ring's size without a ring's seals.
func bare(t *testing.T, size int64) int {
	t.Helper()
	fd, err := unix.MemfdCreate("imposter", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Ftruncate(fd, size); err != nil {
		t.Fatal(err)
	}
	return fd
}

// A client believes a sidecar no more than it has to, and keeps none of the
// descriptors that it did not want (TestMain counts them).
func TestAttachRefusesAnImposter(t *testing.T) {
	s := open(t, settings{})
	consumer, _, err := s.publisher.Attach(shm.StartHead, shm.AnySource, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Detach()
	ring, page, bell := int(s.publisher.File().Fd()), int(consumer.File().Fd()), int(consumer.Bell().Fd())
	g := s.publisher.Geometry()
	granted := func(change func(*grant)) []byte {
		g := grant{epoch: g.Epoch, ringBytes: g.TotalBytes}
		change(&g)
		b := g.encode()
		return packet(answer{kind: typeAttach | typeAnswer, total: uint64(len(b)), payload: b})
	}
	plain := granted(func(*grant) {})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for name, c := range map[string]struct {
		fds    []int
		packet []byte
		want   error
	}{
		"no descriptors":   {nil, plain, ErrProtocol},
		"one descriptor":   {[]int{ring}, plain, ErrProtocol},
		"two descriptors":  {[]int{ring, page}, plain, ErrProtocol},
		"four descriptors": {[]int{ring, page, bell, bell}, plain, ErrProtocol},
		"no bell":          {[]int{ring, page, page}, plain, ErrProtocol},
		"many descriptors": {make([]int, 100), plain, ErrProtocol},
		"the wrong way":    {[]int{page, ring, bell}, plain, shm.ErrSeals},
		"a pipe":           {[]int{int(w.Fd()), page, bell}, plain, shm.ErrSeals},
		"a bare memfd":     {[]int{bare(t, int64(g.TotalBytes)), page, bell}, plain, shm.ErrSeals},
		"a bare page":      {[]int{ring, bare(t, 4096), bell}, plain, shm.ErrSeals},
		"another epoch":    {[]int{ring, page, bell}, granted(func(g *grant) { g.epoch++ }), ErrProtocol},
		"another size":     {[]int{ring, page, bell}, granted(func(g *grant) { g.ringBytes-- }), ErrProtocol},
		"a short grant":    {[]int{ring, page, bell}, packet(answer{kind: typeAttach | typeAnswer, total: 8, payload: make([]byte, 8)}), ErrProtocol},
		"another answer":   {[]int{ring, page, bell}, packet(answer{kind: typeStatus | typeAnswer}), ErrProtocol},
		"a request":        {[]int{ring, page, bell}, encodePlain(typeStatus), ErrProtocol},
		"noise":            {[]int{ring, page, bell}, []byte("220 smtp.example.com ready\r\n"), ErrProtocol},
		"a refusal":        {[]int{ring, page, bell}, packet(*refusal(typeAttach, Refuse(syscall.EACCES, "no"))), ErrNotAllowed},
	} {
		a, err := imposter(t, c.fds, c.packet).Attach(t.Context(), AttachRequest{Ring: "main"})
		if err == nil {
			a.Close()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, expected %v", name, err, c.want)
		}
	}
}

func TestStatusRefusesAnImposter(t *testing.T) {
	chunk := func(total, offset uint64, payload string) []byte {
		return packet(answer{kind: typeStatus | typeAnswer, total: total, offset: offset, payload: []byte(payload)})
	}
	for name, packets := range map[string][][]byte{
		"nothing":          nil,
		"half":             {chunk(6, 0, "abc")},
		"the second first": {chunk(6, 3, "def"), chunk(6, 0, "abc")},
		"the same twice":   {chunk(6, 0, "abc"), chunk(6, 0, "abc")},
		"empty chunks":     {chunk(6, 0, ""), chunk(6, 0, "")},
		"beyond its total": {chunk(2, 0, "abc")},
		"no end":           {chunk(documentBytes+1, 0, "abc")},
		"too long":         {append(chunk(chunkBytes, 0, strings.Repeat("x", chunkBytes)), 0)},
	} {
		if doc, err := imposter(t, nil, packets...).Status(t.Context()); err == nil {
			t.Errorf("%s: taken for %q", name, doc)
		}
	}
	doc, err := imposter(t, nil, chunk(6, 0, "abc"), chunk(6, 3, "def")).Status(t.Context())
	if err != nil || string(doc) != "abcdef" {
		t.Errorf("an honest one: %q, %v", doc, err)
	}
}

// What a sidecar that died said last is heard, although it left requests unread.
func TestLastWordsAreHeard(t *testing.T) {
	path := directory(t) + "/s"
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	conn, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(packet(*refusal(0, Refuse(syscall.EUSERS, "full")))); err != nil {
		t.Fatal(err)
	}
	done, err := c.begin(t.Context(), encodePlain(typeStatus))
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	conn.Close() // with the request unread: the client's socket is reset
	if _, _, err := c.receive(t.Context(), typeStatus); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	if _, _, err := c.receive(t.Context(), typeStatus); !errors.Is(err, ErrHangup) {
		t.Errorf("and then %v", err)
	}
}
