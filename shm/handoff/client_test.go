// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

func TestNobodyListens(t *testing.T) {
	dir := directory(t)
	abandon(t, dir+"/stale")
	for _, path := range []string{dir + "/missing", dir + "/no/dir", dir + "/stale"} {
		_, err := Dial(t.Context(), path)
		if !errors.Is(err, ErrNoSidecar) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "ringside serve") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAnotherProgramListens(t *testing.T) {
	path := directory(t) + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrProtocol) {
		t.Errorf("got %v", err)
	}
}

// mute is a sidecar that hangs: the kernel takes connections for it, it does
// not. Its backlog has room for one.
func mute(t *testing.T) string {
	t.Helper()
	path := directory(t) + "/s"
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSidecarDoesNotReply(t *testing.T) {
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	for what, ask := range map[string]func(context.Context, *Conn) error{
		"status": func(ctx context.Context, c *Conn) error { _, err := c.Status(ctx); return err },
		"rings":  func(ctx context.Context, c *Conn) error { _, err := c.Rings(ctx); return err },
		"attach": func(ctx context.Context, c *Conn) error {
			_, err := c.Attach(ctx, AttachRequest{Ring: "main"})
			return err
		},
		"dial": func(ctx context.Context, c *Conn) error { // the backlog is full now
			_, err := Dial(ctx, c.path)
			return errors.Join(err, c.Close())
		},
	} {
		c, err := Dial(t.Context(), mute(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(soon(), c); !errors.Is(err, ErrNoReply) || !strings.Contains(err.Error(), "socket accepts, no reply") {
			t.Errorf("%s: %v", what, err)
		}
		// What it may still say would be taken for the next answer.
		if _, err := c.Status(soon()); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: and then %v", what, err)
		}
	}
}

func TestQuestionIsCancelled(t *testing.T) {
	path := mute(t)
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := Listen(path, Options{}); !errors.Is(err, ErrLive) {
		t.Errorf("a sidecar that hangs is alive: %v", err)
	}
}

// A dialler prints which kind of no it got, and the text.
func init() {
	roles["dialler"] = func(args []string) error {
		a, err := dialAndAttach(args[0])
		if err == nil {
			return a.Close()
		}
		for _, e := range []error{ErrPermission, ErrNotAllowed, ErrNoSidecar} {
			if errors.Is(err, e) {
				fmt.Printf("%v|", e)
			}
		}
		fmt.Println(err)
		return nil
	}
}

func TestSocketFileForbids(t *testing.T) {
	bpftest.RequireUsers(t)
	s := open(t, settings{options: Options{Mode: 0o640}})
	says := func(text ...string) {
		t.Helper()
		p := bpftest.StartRole(t, bpftest.Nobody, nil, "dialler", s.path)
		got := p.Expect(t, "")
		for _, w := range text {
			if !strings.Contains(got, w) {
				t.Errorf("got %q, expected it to say %q", got, w)
			}
		}
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
	}
	says("permission denied|", s.path, "mode 0640", "owner uid 0 gid 0", "own uid 65534", "member of its group, or start `ringside serve` with --allow-uid 65534")
	if err := os.Chmod(s.path, 0o600); err != nil {
		t.Fatal(err)
	}
	says("permission denied|", "mode 0600", "own uid 65534; start `ringside serve` with --allow-uid 65534")
	if err := os.Chmod(s.path, 0); err != nil {
		t.Fatal(err)
	}
	says("no sidecar|", "just starting")
	dir := strings.TrimSuffix(s.path, "/s")
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	says("permission denied|", "directory "+dir, "mode 0700", "own uid 65534", "searchable")
}

// The sidecar's own words reach the user, with the remedy.
func TestNotAllowedSaysHow(t *testing.T) {
	seen := make(chan Peer, 1)
	s := open(t, settings{refuse: func(p Peer, _ AttachRequest) error {
		seen <- p
		return Refuse(syscall.EACCES, "uid %d may not attach: restart the sidecar with --allow-uid %d", p.UID, p.UID)
	}})
	groups := make([]uint32, 100) // more than one look of peerGroups has room for
	for i := range groups {
		groups[i] = uint32(5000 + i)
	}
	p := bpftest.StartRole(t, bpftest.Nobody, groups, "dialler", s.path)
	if got := p.Expect(t, "not allowed|"); !strings.Contains(got, "restart the sidecar with --allow-uid 65534") {
		t.Errorf("got %q", got)
	}
	peer := <-seen
	if peer.UID != bpftest.Nobody || peer.GID != bpftest.Nobody || int(peer.PID) != p.PID() || fmt.Sprint(peer.Groups) != fmt.Sprint(groups) {
		t.Errorf("peer %+v, expected pid %d and groups %v", peer, p.PID(), groups)
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

func TestRefusedConnectionGoesOn(t *testing.T) {
	s := open(t, settings{refuse: func(_ Peer, r AttachRequest) error {
		if r.Ring != "main" {
			return Refuse(syscall.ENOENT, "no ring %q; there is main", r.Ring)
		}
		return nil
	}})
	c := s.dial(t)
	if _, err := c.Attach(t.Context(), AttachRequest{Ring: "min"}); !errors.Is(err, ErrNotFound) || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got %v", err)
	}
	a, err := c.Attach(t.Context(), AttachRequest{Ring: "main"})
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	if _, err := c.Attach(t.Context(), AttachRequest{Ring: "main"}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a used connection: %v", err)
	}
}

func TestNamesAreCheckedBeforeTheyAreSent(t *testing.T) {
	c := open(t, settings{}).dial(t)
	for _, r := range []AttachRequest{
		{Ring: strings.Repeat("r", 64)}, {Consumer: "a\x00b"}, {Source: strings.Repeat("s", 128)},
	} {
		if _, err := c.Attach(t.Context(), r); err == nil {
			t.Errorf("%+v was sent", r)
		}
	}
}
