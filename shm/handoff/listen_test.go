// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// abandon leaves a socket file behind, as a process does that is killed.
func abandon(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func mustListen(t *testing.T, path string) *Server {
	t.Helper()
	s, err := Listen(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestListenReplacesAStaleSocket(t *testing.T) {
	path := directory(t) + "/s"
	abandon(t, path)
	mustListen(t, path)
}

func TestListenSetsModeAndGroup(t *testing.T) {
	path := directory(t) + "/s"
	o := Options{Mode: 0o660}
	if os.Geteuid() == 0 {
		o.GID = 4242
	}
	s, err := Listen(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Mode&0o777 != 0o660 || o.GID != 0 && st.Gid != 4242 {
		t.Errorf("mode %o group %d: %v", st.Mode, st.Gid, err)
	}
}

func TestListenRefuses(t *testing.T) {
	dir := directory(t)
	live := mustListen(t, dir+"/live").Addr()
	stream, err := net.Listen("unix", dir+"/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if err := os.WriteFile(dir+"/file", []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(live, dir+"/link"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		err  error
		says string
	}{
		live:                                {ErrLive, "stop that one"},
		dir + "/stream":                     {ErrLive, "another process"},
		dir + "/file":                       {ErrNotSocket, "a regular file; remove it"},
		dir + "/link":                       {ErrNotSocket, "a symbolic link"},
		dir + "/missing/s":                  {ErrNoDirectory, "mkdir -p " + dir + "/missing"},
		dir + "/" + strings.Repeat("x", 99): {unix.ENAMETOOLONG, "at most 107 bytes"},
	} {
		s, err := Listen(path, Options{})
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, want.err) || !strings.Contains(err.Error(), want.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, expected %v that says %q", path, err, want.err, want.says)
		}
	}
	if b, err := os.ReadFile(dir + "/file"); err != nil || string(b) != "precious" {
		t.Errorf("the file in the way was touched: %q, %v", b, err)
	}
}

// Of many that start at once over a stale socket, one gets it, and the file
// that is there in the end is the one that it listens on.
func TestStartersRace(t *testing.T) {
	for range 20 {
		path := directory(t) + "/s"
		abandon(t, path)
		var won atomic.Pointer[Server]
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				s, err := Listen(path, Options{})
				if err == nil && won.Swap(s) != nil {
					t.Error("two listen")
				}
				if err != nil && !errors.Is(err, ErrLive) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		s := won.Load()
		if s == nil {
			t.Fatal("nobody listens")
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(context.Background(), &house{}) }()
		c, err := Dial(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Rings(t.Context()); err != nil {
			t.Error(err)
		}
		c.Close()
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

// A sidecar that ends late removes its own socket file, not its successor's.
func TestCloseRemovesItsOwnFileOnly(t *testing.T) {
	path := directory(t) + "/s"
	old := mustListen(t, path)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	mustListen(t, path)
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the successor's socket: %v", err)
	}
}
