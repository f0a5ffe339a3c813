// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/acl"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

func subject(p handoff.Peer) acl.Peer { return acl.Peer{UID: p.UID, GID: p.GID, Groups: p.Groups} }

// Attach lends a ring to a peer that its rules let in.
func (s *Sidecar) Attach(peer handoff.Peer, req handoff.AttachRequest) (*shm.Publisher, uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := cmp.Or(req.Ring, config.DefaultRing)
	at := slices.IndexFunc(s.rings, func(r *ring) bool { return r.config.Name == name })
	if at < 0 {
		return nil, 0, handoff.Refuse(syscall.ENOENT, "there is no ring %q; you may attach to %s", name, orNone(s.allowed(peer)))
	}
	r := s.rings[at]
	rule, err := r.rules.Decide(subject(peer))
	if err != nil {
		s.log.about(zerolog.WarnLevel, fmt.Sprintf("uid %d", peer.UID), "refused to attach", func(e *zerolog.Event) {
			e.Str("ring", name).Int32("pid", peer.PID).Err(err)
		})
		return nil, 0, handoff.Refuse(syscall.EACCES, "%v", err)
	}
	number := uint16(shm.AnySource)
	if req.Source != "" {
		x, ok := r.sourceByName(req.Source)
		if !ok {
			return nil, 0, handoff.Refuse(syscall.ENOENT, "ring %q has no source %q; it has %s", name, req.Source, r.sourceNames())
		}
		number = x.producer.Number()
	}
	s.log.about(zerolog.InfoLevel, fmt.Sprintf("uid %d", peer.UID), "attached", func(e *zerolog.Event) {
		e.Str("ring", name).Int32("pid", peer.PID).Str("consumer", req.Consumer).Str("rule", rule)
	})
	return r.current.publisher, number, nil
}

// Attached counts a consumer in, and has the maps read for it.
func (s *Sidecar) Attached(l *handoff.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases[l] = struct{}{}
	for _, r := range s.rings {
		if r.config.Name == l.Ring {
			s.attached(r, time.Now())
		}
	}
}

// Detached counts a consumer out.
func (s *Sidecar) Detached(l *handoff.Lease) {
	s.mu.Lock()
	delete(s.leases, l)
	s.lonely = time.Now()
	s.mu.Unlock()
	s.log.about(zerolog.InfoLevel, fmt.Sprintf("uid %d", l.Peer.UID), "detached", func(e *zerolog.Event) {
		e.Str("ring", l.Ring).Int32("pid", l.Peer.PID).Str("consumer", l.Name).Dur("after", time.Since(l.AttachedAt))
	})
}

// Rings are the names of the rings that a peer may attach to.
func (s *Sidecar) Rings(peer handoff.Peer) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allowed(peer), nil
}

func (s *Sidecar) allowed(peer handoff.Peer) (names []string) {
	for _, r := range s.rings {
		if _, err := r.rules.Decide(subject(peer)); err == nil {
			names = append(names, r.config.Name)
		}
	}
	return names
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
