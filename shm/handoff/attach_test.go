// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

func TestAttachReadsWhatIsPublished(t *testing.T) {
	s := open(t, settings{})
	for range 10 {
		if err := s.feed.publish(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
	}
	a := s.attach(t, shm.StartOldest)
	c := a.Cursor(shm.StartOldest)
	buf := make([]byte, a.Ring.Geometry().LargestFrame)
	for range 10 {
		h, payload, lost, status := c.Next(buf)
		if status != shm.Ready || lost != (shm.Loss{}) {
			t.Fatalf("status %v, lost %v", status, lost)
		}
		if err := checkRows(h, payload); err != nil {
			t.Fatal(err)
		}
	}
	l := s.lease(t)
	if l.Name != t.Name() || l.Ring != "main" {
		t.Errorf("lease of %q on %q", l.Name, l.Ring)
	}
	if st := l.Consumer.Stats(); st.LagRows != 0 {
		t.Errorf("lag of %d rows, expected none", st.LagRows)
	}
	a.Close()
	s.until(t, "detach", func(leases, ended int) bool { return leases == 0 && ended == 1 })
}

func TestStatusComesInChunks(t *testing.T) {
	for _, size := range []int{0, 1, chunkBytes, chunkBytes + 1, 1 << 20} {
		document := make([]byte, size)
		for i := range document {
			document[i] = byte(i * 7)
		}
		s := open(t, settings{document: document})
		got, err := s.dial(t).Status(t.Context())
		if err != nil || !bytes.Equal(got, document) {
			t.Errorf("%d bytes came as %d: %v", size, len(got), err)
		}
	}
}

func TestRings(t *testing.T) {
	c := open(t, settings{}).dial(t)
	for range 2 { // a connection may ask more than once
		names, err := c.Rings(t.Context())
		if err != nil || !slices.Equal(names, []string{"main", "other"}) {
			t.Fatalf("rings %q: %v", names, err)
		}
	}
}

// A client that comes while a ring is being replaced is told to come again.
func TestAttachToARingThatEnds(t *testing.T) {
	s := open(t, settings{})
	if err := s.publisher.Finish(t.Context(), shm.StateSuperseded); err != nil {
		t.Fatal(err)
	}
	if _, err := s.dial(t).Attach(t.Context(), AttachRequest{Ring: "main"}); !errors.Is(err, ErrTryAgain) {
		t.Errorf("got %v", err)
	}
}

func TestHandlerFails(t *testing.T) {
	s := open(t, settings{refuse: func(Peer, AttachRequest) error { return errors.New("no memory left") }})
	_, err := s.dial(t).Attach(t.Context(), AttachRequest{Ring: "main"})
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "no memory left") {
		t.Errorf("got %v", err)
	}
}
