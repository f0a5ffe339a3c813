// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// twoRings is a sidecar with a ring for uid 1000 and one for gid 50.
func twoRings(t *testing.T) *running {
	t.Helper()
	dir := bpftest.MountBPFFS(t)
	bpftest.Pin(t, newMap(t, 1, 4), dir, "flows")
	cfg, err := config.Parse("f", []byte(`version: 1
rings:
  - {name: main, allow: {uids: [1000]}}
  - {name: second, allow: {gids: [50]}}
maps:
  - {path: `+dir+`/flows}
  - {path: `+dir+`/missing, ring: second}
`))
	if err != nil {
		t.Fatal(err)
	}
	return serveConfig(t, cfg)
}

func TestWhoGetsWhichRing(t *testing.T) {
	r := twoRings(t)
	user, member, root, stranger := handoff.Peer{UID: 1000, GID: 1000}, handoff.Peer{UID: 1, GID: 1, Groups: []uint32{50}}, handoff.Peer{}, handoff.Peer{UID: 7, GID: 7}
	for _, tt := range []struct {
		name string
		peer handoff.Peer
		req  handoff.AttachRequest
		want error // nil: lent
		says string
	}{
		{"user", user, handoff.AttachRequest{Ring: "main"}, nil, ""},
		{"user, no name", user, handoff.AttachRequest{}, nil, ""},
		{"user, one source", user, handoff.AttachRequest{Source: "flows"}, nil, ""},
		{"user, other ring", user, handoff.AttachRequest{Ring: "second"}, handoff.ErrNotAllowed, `uid 1000 (gid 1000) may not attach to ring "second"`},
		{"user, no such ring", user, handoff.AttachRequest{Ring: "third"}, handoff.ErrNotFound, `there is no ring "third"; you may attach to main`},
		{"user, no such source", user, handoff.AttachRequest{Source: "flow"}, handoff.ErrNotFound, `ring "main" has no source "flow"; it has flows`},
		{"member", member, handoff.AttachRequest{Ring: "second"}, nil, ""},
		{"member, source that is awaited", member, handoff.AttachRequest{Ring: "second", Source: "missing"}, handoff.ErrNotFound, "it has nothing yet"},
		{"root", root, handoff.AttachRequest{Ring: "second"}, nil, ""},
		{"stranger", stranger, handoff.AttachRequest{Ring: "main"}, handoff.ErrNotAllowed, "--allow-uid 7"},
		{"stranger learns no names", stranger, handoff.AttachRequest{Ring: "third"}, handoff.ErrNotFound, "you may attach to none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, source, err := r.Attach(tt.peer, tt.req)
			if tt.want == nil {
				wanted := uint16(shm.AnySource)
				if tt.req.Source != "" {
					wanted = 0
				}
				if err != nil || p == nil || source != wanted {
					t.Fatalf("%v, source %d, %v", p, source, err)
				}
				return
			}
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("got %v, want %v with %s", err, tt.want, tt.says)
			}
		})
	}
}

// TestStatusShowsOnlyTheOwnRings: a ring is a confidentiality domain, and the
// names in it are part of it.
func TestStatusShowsOnlyTheOwnRings(t *testing.T) {
	r := twoRings(t)
	for _, tt := range []struct {
		peer  handoff.Peer
		rings []string
		state status.State
	}{
		{handoff.Peer{}, []string{"main", "second"}, status.Degraded},
		{handoff.Peer{UID: 1000}, []string{"main"}, status.Idle},
		{handoff.Peer{UID: 1, GID: 50}, []string{"second"}, status.Failed},
	} {
		text, err := r.Status(tt.peer)
		var doc status.Document
		if err == nil {
			err = json.Unmarshal(text, &doc)
		}
		if err != nil {
			t.Fatal(err)
		}
		names, err := r.Rings(tt.peer)
		if err != nil || !slices.Equal(names, tt.rings) || len(doc.Rings) != len(tt.rings) || doc.Rings[0].Name != tt.rings[0] || doc.Health.State != tt.state {
			t.Errorf("uid %d: %v, %s", tt.peer.UID, names, text)
		}
		if tt.peer.UID == 1000 && strings.Contains(string(text), "missing") {
			t.Errorf("uid 1000 is told of the other ring: %s", text)
		}
	}
	if _, err := r.Status(handoff.Peer{UID: 7}); !errors.Is(err, handoff.ErrNotAllowed) {
		t.Fatalf("a stranger: %v", err)
	}
}
