// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// commanded is a house that takes commands.
type commanded struct {
	*house
	took chan struct{}
}

func (c *commanded) Reload(p Peer) ([]byte, error) {
	if p.UID == 1 {
		return nil, Refuse(syscall.EPERM, "not you")
	}
	return []byte("{}"), Refuse(syscall.EINVAL, "line 3: no such field")
}

func (c *commanded) TakeOver(Peer) error {
	close(c.took)
	return nil
}

func TestCommands(t *testing.T) {
	s := open(t, settings{})
	conn := s.dial(t)
	if _, err := conn.Reload(t.Context()); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("a sidecar that takes no commands says %v", err)
	}

	h := &commanded{house: s.house, took: make(chan struct{})}
	next, err := Beside(s.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- next.Serve(ctx, h) }()
	if _, err := os.Lstat(s.path + ".next"); err != nil || !s.server.Present() {
		t.Error(err)
	}
	if _, err := Beside(s.path, Options{}); !errors.Is(err, ErrLive) {
		t.Errorf("a second one beside says %v", err)
	}
	if err := next.Replace(); err != nil || s.server.Present() || !next.Present() {
		t.Error(err)
	}
	conn = s.dial(t) // reaches the new one
	if _, err := conn.Reload(t.Context()); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
	if err := conn.TakeOver(t.Context()); err != nil {
		t.Error(err)
	}
	<-h.took
	// The old one leaves the file alone that is not its own any more.
	if err := s.server.Close(); err != nil {
		t.Error(err)
	}
	if !next.Present() {
		t.Error("the old server has removed the new one's socket")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(s.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the new one leaves its file: %v", err)
	}
}

func TestReplaceOnlySockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	next, err := Beside(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := next.Replace(); !errors.Is(err, ErrNotSocket) {
		t.Error(err)
	}
}
