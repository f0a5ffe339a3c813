// SPDX-License-Identifier: Apache-2.0

package c

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/clients/clienttest"
	"github.com/ringside-bpf/ringside/shm"
)

// answer is one packet as docs/protocol.md, section 7.2, lays it out.
func answer(kind uint16, status syscall.Errno, payload []byte) []byte {
	b := make([]byte, 32, 32+len(payload))
	le := binary.LittleEndian
	copy(b, "RSH1")
	le.PutUint16(b[4:], kind)
	le.PutUint16(b[6:], 1)
	le.PutUint32(b[8:], uint32(status))
	le.PutUint32(b[12:], uint32(len(payload)))
	le.PutUint64(b[16:], uint64(len(payload)))
	return append(b, payload...)
}

const attached = 0x8001 // the answer to ATTACH

// imposter answers every attach with one packet and descriptors of the test's
// choice.
func imposter(t testing.TB, fds []int, packet []byte) (path string) {
	t.Helper()
	path = clienttest.SocketPath(t)
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
		if _, err := conn.Read(make([]byte, 288)); err != nil || packet == nil {
			return
		}
		var rights []byte
		if fds != nil {
			rights = unix.UnixRights(fds...)
		}
		if _, _, err := conn.WriteMsgUnix(packet, rights, nil); err == nil {
			_, _ = conn.Read(make([]byte, 1)) // until the client hangs up
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return path
}

// memory is a memfd with content and seals.
func memory(t *testing.T, content []byte, seals int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("imposter", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.Write(fd, content); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	return fd
}

const ringSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_FUTURE_WRITE

// honest is what a sidecar would answer with.
type honest struct {
	geometry         shm.Geometry
	ring, page, bell int
	image            []byte // what the ring's file holds
	packet           []byte
}

func newHonest(t *testing.T) *honest {
	t.Helper()
	p, err := shm.Create(shm.Config{Name: "main", DataBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	consumer, _, err := p.Attach(shm.StartHead, shm.AnySource, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consumer.Detach)
	h := &honest{
		geometry: p.Geometry(), image: make([]byte, p.Geometry().TotalBytes),
		ring: int(p.File().Fd()), page: int(consumer.File().Fd()), bell: int(consumer.Bell().Fd()),
	}
	if _, err := unix.Pread(h.ring, h.image, 0); err != nil {
		t.Fatal(err)
	}
	h.packet = answer(attached, 0, h.grant(0, 0))
	return h
}

// grant is one for a ring whose epoch and size differ from the real one's.
func (h *honest) grant(epoch, bytes uint64) []byte {
	b := make([]byte, 48)
	binary.LittleEndian.PutUint64(b[8:], h.geometry.Epoch+epoch)
	binary.LittleEndian.PutUint64(b[40:], h.geometry.TotalBytes+bytes)
	return b
}

// changed is the answer with other bytes at a place.
func (h *honest) changed(at int, to ...byte) []byte {
	b := slices.Clone(h.packet)
	copy(b[at:], to)
	return b
}

// spoilt is the ring's memory, sealed, with one bit changed.
func (h *honest) spoilt(t *testing.T, at int) int {
	b := slices.Clone(h.image)
	b[at] ^= 1
	return memory(t, b, ringSeals)
}

// A client believes a sidecar no more than it has to, says what is wrong, and
// keeps none of the descriptors that it was sent.
func TestRefusesAnImposter(t *testing.T) {
	h := newHonest(t)
	ring, page, bell, image, good := h.ring, h.page, h.bell, h.image, h.packet
	all := []int{ring, page, bell}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for name, c := range map[string]struct {
		fds    []int
		packet []byte
		want   syscall.Errno
	}{
		"an honest one":      {all, good, 0},
		"no descriptors":     {nil, good, syscall.EPROTO},
		"two descriptors":    {all[:2], good, syscall.EPROTO},
		"four descriptors":   {[]int{ring, page, bell, bell}, good, syscall.EPROTO},
		"many descriptors":   {make([]int, 100), good, syscall.EPROTO},
		"no bell":            {[]int{ring, page, page}, good, syscall.EPROTO},
		"the wrong way":      {[]int{page, ring, bell}, good, syscall.EBADFD},
		"a pipe":             {[]int{int(w.Fd()), page, bell}, good, syscall.EBADFD},
		"no seals":           {[]int{memory(t, image, 0), page, bell}, good, syscall.EBADFD},
		"a seal is missing":  {[]int{memory(t, image, ringSeals&^unix.F_SEAL_SHRINK), page, bell}, good, syscall.EBADFD},
		"a page unsealed":    {[]int{ring, memory(t, make([]byte, 4096), 0), bell}, good, syscall.EBADFD},
		"a page too large":   {[]int{ring, memory(t, make([]byte, 8192), ringSeals&7), bell}, good, syscall.EBADFD},
		"a ring cut off":     {[]int{memory(t, image[:len(image)-4096], ringSeals), page, bell}, good, syscall.EMEDIUMTYPE},
		"a ring of 10 bytes": {[]int{memory(t, image[:10], ringSeals), page, bell}, good, syscall.EMEDIUMTYPE},
		"a spoilt magic":     {[]int{h.spoilt(t, 0), page, bell}, good, syscall.EMEDIUMTYPE},
		"another major":      {[]int{h.spoilt(t, 9), page, bell}, good, syscall.EPROTONOSUPPORT},
		"a spoilt header":    {[]int{h.spoilt(t, 96), page, bell}, good, syscall.EMEDIUMTYPE},
		"another epoch":      {all, answer(attached, 0, h.grant(2, 0)), syscall.EPROTO},
		"another size":       {all, answer(attached, 0, h.grant(0, 4096)), syscall.EPROTO},
		"a short grant":      {all, answer(attached, 0, make([]byte, 47)), syscall.EPROTO},
		"a long grant":       {all, answer(attached, 0, append(h.grant(0, 0), 1, 2, 3)), 0},
		"half a grant":       {all, h.changed(24, 1), syscall.EPROTO},
		"another length":     {all, h.changed(12, 47), syscall.EPROTO},
		"another question":   {all, h.changed(4, 2), syscall.EPROTO},
		"another version":    {all, h.changed(6, 2), syscall.EPROTO},
		"another total":      {all, h.changed(16, 49), syscall.EPROTO},
		"too large":          {all, answer(attached, 0, make([]byte, 32769)), syscall.EPROTO},
		"noise":              {all, []byte("220 smtp.example.com ready\r\n"), syscall.EPROTO},
		"a hang-up":          {nil, nil, syscall.ECONNRESET},
		"not allowed":        {all, answer(attached, syscall.EACCES, []byte("no\x1b[2J")), syscall.EPERM},
		"no such ring":       {all, answer(attached, syscall.ENOENT, []byte("rings: a, b")), syscall.ENOENT},
		"barred":             {all, answer(attached, syscall.EBUSY, nil), syscall.EBUSY},
		"an errno from Mars": {all, answer(0x8000, 1<<31, []byte(strings.Repeat("x", 5000))), syscall.EREMOTEIO},
	} {
		got := output(t, filepath.Join(build(t, "asan"), "tests", "try"), imposter(t, c.fds, c.packet))
		if !strings.HasPrefix(got, fmt.Sprintf("%d ", int(c.want))) || strings.Contains(got, "stayed open") || strings.Contains(got, "\x1b") {
			t.Errorf("%s: got %q, expected %d (%v)", name, got, int(c.want), c.want)
		}
	}
}

// What nobody listens to, or nobody may talk to, is told apart.
func TestNobodyThere(t *testing.T) {
	try := filepath.Join(build(t, "asan"), "tests", "try")
	path := clienttest.SocketPath(t)
	if got := output(t, try, path); !strings.HasPrefix(got, "111 ") || !strings.Contains(got, "ringside serve") {
		t.Errorf("no socket: %q", got)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := output(t, try, path); !strings.HasPrefix(got, "111 ") {
		t.Errorf("a file: %q", got)
	}
	stream := path + "2"
	l, err := net.Listen("unix", stream)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := output(t, try, stream); !strings.HasPrefix(got, "71 ") {
		t.Errorf("another kind of socket: %q", got)
	}
}
