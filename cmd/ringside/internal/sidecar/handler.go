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
	publisher, source, rule, err := s.lend(peer, req)
	// Without the mutex: whoever reads the log may be slow.
	level, message := zerolog.InfoLevel, "attached"
	if err != nil {
		level, message = zerolog.WarnLevel, "refused to attach"
	}
	s.log.about(level, fmt.Sprintf("uid %d", peer.UID), message, func(e *zerolog.Event) {
		e.Str("ring", req.Ring).Int32("pid", peer.PID).Str("consumer", req.Consumer)
		if err != nil {
			e.Err(err)
		} else {
			e.Str("rule", rule)
		}
	})
	return publisher, source, err
}

// lend finds what was asked for, and the rule that allows it.
func (s *Sidecar) lend(peer handoff.Peer, req handoff.AttachRequest) (_ *shm.Publisher, source uint16, rule string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := cmp.Or(req.Ring, config.DefaultRing)
	at := slices.IndexFunc(s.rings, func(r *ring) bool { return r.config.Name == name })
	if at < 0 {
		return nil, 0, "", handoff.Refuse(syscall.ENOENT, "there is no ring %q; you may attach to %s", name, orNone(s.allowed(peer)))
	}
	r := s.rings[at]
	if rule, err = r.rules.Decide(subject(peer)); err != nil {
		return nil, 0, "", handoff.Refuse(syscall.EACCES, "%v", err)
	}
	if req.Source == "" {
		return r.current.Load().publisher, shm.AnySource, rule, nil
	}
	x, ok := r.sourceByName(req.Source)
	if !ok {
		return nil, 0, "", handoff.Refuse(syscall.ENOENT, "ring %q has no source %q; it has %s", name, req.Source, r.sourceNames())
	}
	return r.current.Load().publisher, x.producer.Number(), rule, nil
}

// Attached counts a consumer in, and has the maps read for it. A reload may have
// changed the rules since Attach asked them, and has not seen this lease: it is
// taken back before anything was lent.
func (s *Sidecar) Attached(l *handoff.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases[l] = struct{}{}
	at := slices.IndexFunc(s.rings, func(r *ring) bool { return r.config.Name == l.Ring })
	if at < 0 || denied(s.rings[at].rules, l.Peer) {
		l.Close()
		return
	}
	s.attached(s.rings[at], time.Now())
}

// Detached counts a consumer out.
func (s *Sidecar) Detached(l *handoff.Lease) {
	s.mu.Lock()
	delete(s.leases, l)
	for _, r := range s.rings {
		if r.config.Name == l.Ring {
			r.lonely = time.Now()
		}
	}
	s.mu.Unlock()
	s.log.about(zerolog.InfoLevel, fmt.Sprintf("uid %d", l.Peer.UID), "detached", func(e *zerolog.Event) {
		e.Str("ring", l.Ring).Int32("pid", l.Peer.PID).Str("consumer", l.Name).Stringer("after", time.Since(l.AttachedAt).Round(time.Millisecond))
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
