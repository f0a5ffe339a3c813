// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm"
)

// knock connects as any program may, without the library.
func (s *stand) knock(t testing.TB) *net.UnixConn {
	t.Helper()
	c, err := net.Dial("unixpacket", s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.UnixConn)
}

// hear reads one answer.
func hear(t testing.TB, c *net.UnixConn) (answer, error) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, answerBytes+chunkBytes)
	n, err := c.Read(b)
	if err != nil {
		return answer{}, err
	}
	return decodeAnswer(b[:n])
}

func attachRequest(change func(b []byte)) []byte {
	b := make([]byte, attachBytes)
	putHead(b, typeAttach)
	copy(b[offRing:], "main")
	copy(b[offConsumer:], "hostile")
	if change != nil {
		change(b)
	}
	return b
}

func TestMalformedRequests(t *testing.T) {
	s := open(t, settings{})
	s.busy(t)
	put16 := func(off int, v uint16) []byte {
		return attachRequest(func(b []byte) { binary.LittleEndian.PutUint16(b[off:], v) })
	}
	fill := func(from, to int) []byte {
		return attachRequest(func(b []byte) {
			for i := from; i < to; i++ {
				b[i] = 'x'
			}
		})
	}
	at := func(off int, text string) []byte { return attachRequest(func(b []byte) { copy(b[off:], text) }) }
	for name, c := range map[string]struct {
		request []byte
		want    syscall.Errno
	}{
		"one byte":              {[]byte{'R'}, syscall.EPROTO},
		"seven bytes":           {attachRequest(nil)[:7], syscall.EPROTO},
		"head only":             {attachRequest(nil)[:headBytes], syscall.EPROTO},
		"one byte short":        {attachRequest(nil)[:attachBytes-1], syscall.EPROTO},
		"one byte long":         {append(attachRequest(nil), 0), syscall.EMSGSIZE},
		"oversized":             {make([]byte, 100_000), syscall.EMSGSIZE},
		"wrong magic":           {put16(offMagic, 0), syscall.EPROTO},
		"text":                  {[]byte("GET / HTTP/1.1\r\n\r\n"), syscall.EPROTO},
		"later version":         {put16(offVersion, version+1), syscall.EPROTONOSUPPORT},
		"unknown type":          {put16(offType, 99), syscall.EOPNOTSUPP},
		"an answer":             {put16(offType, typeAttach|typeAnswer), syscall.EOPNOTSUPP},
		"unknown start":         {put16(offStart, 3), syscall.EINVAL},
		"reserved flags":        {put16(offFlags, 1), syscall.EINVAL},
		"reserved end":          {put16(attachBytes-2, 1), syscall.EINVAL},
		"ring without NUL":      {fill(offRing, offConsumer), syscall.EINVAL},
		"consumer without NUL":  {fill(offConsumer, offSource), syscall.EINVAL},
		"source without NUL":    {fill(offSource, offSpare), syscall.EINVAL},
		"bytes behind the NUL":  {at(offRing, "main\x00x"), syscall.EINVAL},
		"name that is no UTF-8": {at(offConsumer, "\xff\xfe"), syscall.EINVAL},
		"terminal escape":       {at(offConsumer, "\x1b[2J"), syscall.EINVAL},
		"newline":               {at(offConsumer, "a\nb"), syscall.EINVAL},
		"status with reserved":  {append(encodePlain(typeStatus)[:plainBytes-1], 1), syscall.EINVAL},
	} {
		conn := s.knock(t)
		if _, err := conn.Write(c.request); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		a, err := hear(t, conn)
		if err != nil || a.status != c.want || len(a.payload) == 0 {
			t.Errorf("%s: status %d (%v), text %q, error %v; expected %d (%v)", name, a.status, a.status, a.payload, err, c.want, c.want)
		}
		if _, err := hear(t, conn); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the connection goes on after it: %v", name, err)
		}
	}
}

// Nothing that a client attaches to a request may become the sidecar's.
func TestDescriptorsAreNotTaken(t *testing.T) {
	s := open(t, settings{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	conn := s.knock(t)
	fds := make([]int, 200)
	for i := range fds {
		fds[i] = int(w.Fd())
	}
	if _, _, err := conn.WriteMsgUnix(attachRequest(nil), unix.UnixRights(fds...), nil); err != nil {
		t.Fatal(err)
	}
	if a, err := hear(t, conn); err != nil || a.status != syscall.EPROTO {
		t.Errorf("status %v, error %v", a.status, err)
	}
	w.Close()
	// If anybody held the writing end, this would wait for ever.
	r.SetReadDeadline(time.Now().Add(patience))
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("somebody still holds the pipe: %d bytes, %v", n, err)
	}
}

func TestHalfOpenClientsTimeOut(t *testing.T) {
	s := open(t, settings{options: Options{HandshakeTimeout: 500 * time.Millisecond, MaxConns: 8}})
	silent := make([]*net.UnixConn, 7)
	for i := range silent {
		silent[i] = s.knock(t)
	}
	for _, c := range silent {
		if _, err := hear(t, c); !errors.Is(err, io.EOF) {
			t.Errorf("a silent client got %v, expected a hang-up", err)
		}
	}
	a := s.attach(t, shm.StartHead) // a lease may be silent for as long as it likes
	a.sleeper.tick = 4 * s.server.options.HandshakeTimeout
	for woken := true; woken; { // once, perhaps: a bell wakes whoever begins to listen to it
		var err error
		if woken, err = a.Wait(t.Context(), a.Ring.Head()); err != nil {
			t.Fatal(err)
		}
	}
}

// A client that asks for much and reads nothing is left behind.
func TestAnswersAreNotWaitedFor(t *testing.T) {
	s := open(t, settings{document: make([]byte, 8<<20), options: Options{HandshakeTimeout: 500 * time.Millisecond}})
	s.busy(t)
	conn := s.knock(t)
	if _, err := conn.Write(encodePlain(typeStatus)); err != nil {
		t.Fatal(err)
	}
	// Its half of the answer is read only when the sidecar has given up.
	until(t, "the sidecar to give up", func() bool {
		return s.asked.Load() == 1 && s.connections() == 1 // which is the witness
	})
	var got uint64
	for {
		a, err := hear(t, conn)
		if err != nil {
			break
		}
		got += uint64(len(a.payload))
	}
	if got >= 8<<20 {
		t.Error("all of it was sent: the socket's buffer is larger than this test thinks")
	}
}

func TestHundredsOfClients(t *testing.T) {
	s := open(t, settings{options: Options{MaxConns: 400}})
	s.busy(t)
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() {
			for range 3 {
				conn, err := net.Dial("unixpacket", s.path)
				if errors.Is(err, syscall.EAGAIN) {
					continue // the backlog is full, which is an answer too
				}
				if err != nil {
					t.Error(err)
					return
				}
				switch i % 5 {
				case 0: // connect and close
				case 1:
					_, _ = conn.Write([]byte("noise"))
				case 2:
					_, _ = conn.Write(encodePlain(typeStatus))
					_, _ = conn.Read(make([]byte, 1))
				case 3:
					_, _ = conn.Write(attachRequest(nil)) // and leave at once
				case 4:
					_, _ = conn.Write(attachRequest(nil))
					_, _ = conn.Read(make([]byte, 1024))
				}
				conn.Close()
			}
		})
	}
	all.Wait()
	s.until(t, "all gone", func(leases, _ int) bool { return leases == 1 })
}
