// SPDX-License-Identifier: Apache-2.0

package rust_test

import (
	"encoding/binary"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/clients/clienttest"
	"github.com/ringside-bpf/ringside/shm"
)

// grant is what an impostor hands out.
type grant struct {
	ringSeals, pageSeals int
	pageBytes            int64
	epoch                uint64 // added to the ring's
	total                uint64 // added to its size
	fds                  int
	damage               func(image []byte)
}

const (
	ringSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_FUTURE_WRITE | unix.F_SEAL_SEAL
	pageSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
)

// A ring whose memory could vanish or change, or which is not what was granted,
// is refused; the same one, as it should be, is accepted.
func TestRefusesWhatIsNotProven(t *testing.T) {
	good := grant{ringSeals: ringSeals, pageSeals: pageSeals, pageBytes: 4096, fds: 3}
	for name, tc := range map[string]struct {
		change func(g *grant)
		says   string
	}{
		"as it should be":      {func(*grant) {}, "attached"},
		"ring can shrink":      {func(g *grant) { g.ringSeals &^= unix.F_SEAL_SHRINK }, "error Seals"},
		"ring can grow":        {func(g *grant) { g.ringSeals &^= unix.F_SEAL_GROW }, "error Seals"},
		"ring is writable":     {func(g *grant) { g.ringSeals &^= unix.F_SEAL_FUTURE_WRITE }, "error Seals"},
		"no seals at all":      {func(g *grant) { g.ringSeals = 0 }, "error Seals"},
		"page can shrink":      {func(g *grant) { g.pageSeals &^= unix.F_SEAL_SHRINK }, "error Seals"},
		"page of another size": {func(g *grant) { g.pageBytes = 8192 }, "error Geometry"},
		"another epoch":        {func(g *grant) { g.epoch = 2 }, "error Protocol"},
		"another size":         {func(g *grant) { g.total = 4096 }, "error Protocol"},
		"two descriptors":      {func(g *grant) { g.fds = 2 }, "error Protocol"},
		"no descriptor":        {func(g *grant) { g.fds = 0 }, "error Protocol"},
		"no ring":              {func(g *grant) { g.damage = func(b []byte) { b[0]++ } }, "error NotARing"},
		"another version":      {func(g *grant) { g.damage = func(b []byte) { b[8]++ } }, "error Version"},
		"a damaged header":     {func(g *grant) { g.damage = func(b []byte) { b[100]++ } }, "error Geometry"},
	} {
		t.Run(name, func(t *testing.T) {
			g := good
			tc.change(&g)
			path := clienttest.SocketPath(t)
			impostor(t, path, g)
			c := start(t, "read", path)
			if line := <-c.Lines; !strings.HasPrefix(line, tc.says) {
				t.Errorf("%s, expected %s", line, tc.says)
			}
		})
	}
}

// impostor listens at path and answers whatever one client says with a grant.
func impostor(t *testing.T, path string, g grant) {
	t.Helper()
	image, err := os.ReadFile("../testdata/one-frame.ring")
	if err != nil {
		t.Fatal(err)
	}
	epoch, total := binary.LittleEndian.Uint64(image[24:])+g.epoch, uint64(len(image))+g.total
	if g.damage != nil {
		g.damage(image)
	}
	ring, page := memfd(t, image, g.ringSeals), memfd(t, make([]byte, g.pageBytes), g.pageSeals)
	bell, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(bell[0]); unix.Close(bell[1]) })
	le := binary.LittleEndian
	answer := make([]byte, 32+48)
	copy(answer, "RSH1")
	le.PutUint16(answer[4:], 0x8001)
	le.PutUint16(answer[6:], 1)
	le.PutUint32(answer[12:], 48)
	le.PutUint64(answer[16:], 48)
	le.PutUint16(answer[32:], shm.AnySource)
	le.PutUint64(answer[32+8:], epoch)
	le.PutUint64(answer[32+40:], total)
	listener, err := net.Listen("unixpacket", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-done })
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return // the client never came, which the test sees
		}
		defer conn.Close()
		request := make([]byte, 512)
		if n, err := conn.Read(request); err != nil || n != 288 {
			t.Errorf("request of %d bytes: %v", n, err)
		}
		rights := unix.UnixRights([]int{ring, page, bell[1]}[:g.fds]...)
		if _, _, err := conn.(*net.UnixConn).WriteMsgUnix(answer, rights, nil); err != nil {
			t.Error(err)
		}
		_, _ = conn.Read(request) // until it hangs up
	}()
}

func memfd(t *testing.T, content []byte, seals int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("impostor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
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
