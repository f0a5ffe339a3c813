// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

type peer = handoff.Peer

// apply carries out a plan. What is not in it goes on untouched.
func (s *Sidecar) apply(p *plan, now time.Time) (*Changes, error) {
	done := &Changes{SchemaVersion: 1, Added: []string{}, Removed: []string{}, Changed: []string{}, Rings: []string{}, Rules: []string{}}
	s.stop(p)
	s.lockToGrow()
	var list []*ring
	var replaced []*epoch
	var failed error
	for _, x := range p.rings {
		s.retireOld(x, done)
		rules := x.ring.rules.String()
		old, err := s.remake(x)
		failed = errors.Join(failed, err)
		if x.ring.current.Load() == nil {
			continue // a new one that could not be had
		}
		if old != nil {
			replaced = append(replaced, old)
			done.Rings = append(done.Rings, x.ring.config.Name)
		} else if rules != x.ring.rules.String() {
			done.Rules = append(done.Rules, x.ring.config.Name)
		}
		list = append(list, x.ring)
	}
	ended := s.dismiss(p.leaving, done, now)
	s.setRings(list)
	s.patterns = p.patterns
	s.unlockGrown()
	for _, e := range replaced {
		s.supersede(e, finishPatience)
	}
	s.background.Go(func() { s.turnOut(replaced) })
	for _, e := range ended {
		s.background.Go(func() { _ = e.finish(shm.StateEnded, finishPatience) })
	}
	s.look(now)
	sorted(done.Added)
	sorted(done.Removed)
	sorted(done.Changed)
	s.log.Info().Strs("added", done.Added).Strs("removed", done.Removed).Strs("changed", done.Changed).Strs("rings", done.Rings).Strs("ended", done.Ended).Strs("rules", done.Rules).Msg("reloaded")
	s.tellRules()
	return done, errors.Join(failed, s.openSocket(p))
}

// stop ends the reading of what will not be read any more, or otherwise; it waits
// for scans, so without the mutex. One that hangs in the kernel may be the very
// reason for the reload: it is left behind, and its ring gets new memory.
func (s *Sidecar) stop(p *plan) {
	ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
	defer cancel()
	ends := map[*ringPlan][]<-chan struct{}{}
	for _, x := range p.rings {
		for _, old := range x.before {
			if !slices.Contains(x.stay, old) {
				ends[x] = append(ends[x], s.ending(old))
			}
		}
	}
	gone := &ringPlan{} // whose rings get no new memory
	for _, r := range p.leaving {
		for _, old := range r.sources {
			ends[gone] = append(ends[gone], s.ending(old))
		}
	}
	for x, list := range ends {
		for _, ended := range list {
			select {
			case <-ended:
				continue
			case <-ctx.Done():
			}
			select {
			case <-ended: // as well
			default:
				x.hangs = true
			}
		}
	}
}

// ending ends the reading of a source and tells when that is done. What a scan
// works in is given back only then: one that hangs comes back to it, and so may
// the kernel.
func (s *Sidecar) ending(x *source) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.end()
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := x.letGo(); err != nil {
			s.log.Error().Err(err).Str("source", x.name).Msg("the memory of a map in mode changes was not given back")
		}
	}()
	return done
}

// retireOld takes a ring's old sources away and puts those in their place that
// replace them. An heir of the same name supersedes the old source when it is
// opened, so that consumers follow it. The caller holds the mutex.
func (s *Sidecar) retireOld(x *ringPlan, done *Changes) {
	sources := slices.Clone(x.stay)
	inherited := map[*source]bool{}
	for _, h := range x.heirs {
		if h.of == nil {
			done.Added = append(done.Added, h.source.name)
		} else {
			done.Changed = append(done.Changed, h.source.name)
			if h.of.name == h.source.name && h.of.producer != nil {
				h.source.producer, h.source.info = h.of.producer, h.of.info
				inherited[h.of] = true
			}
		}
		sources = append(sources, h.source)
	}
	for _, old := range x.before {
		if slices.Contains(x.stay, old) {
			continue
		}
		switch {
		case inherited[old]:
			continue
		case old.producer != nil:
			old.producer.Retire()
		}
		if !slices.ContainsFunc(x.heirs, func(h heir) bool { return h.of == old }) {
			done.Removed = append(done.Removed, old.name)
		}
	}
	x.ring.sources = sources
}

// remake gives a ring its new rules, and new memory if it needs it: other sizes
// were asked for, it is new, somebody has it who may no longer, or a call hangs
// that fills it. The caller holds what beginEpoch asks for.
func (s *Sidecar) remake(x *ringPlan) (old *epoch, err error) {
	r, barred := x.ring, x.hangs || s.barred(x)
	same := sameMemory(r.config, x.fresh.config)
	r.rules = x.fresh.rules
	if r.current.Load() != nil && same && !barred {
		return nil, nil
	}
	if old, err = s.beginEpoch(r, x.room, nil); err != nil {
		return nil, err // and the next reload finds it still to do
	}
	// Word for word: others read the name without the mutex.
	r.config.Bytes, r.config.Lossless, r.config.StallTimeout = x.fresh.config.Bytes, x.fresh.config.Lossless, x.fresh.config.StallTimeout
	r.config.Allow, r.config.Origin = x.fresh.config.Allow, x.fresh.config.Origin
	return old, nil
}

// dismiss takes rings out of service; their memory stays while consumers hold it.
// The caller holds the mutex, and ends the epochs after it.
func (s *Sidecar) dismiss(rings []*ring, done *Changes, now time.Time) (ended []*epoch) {
	for _, r := range rings {
		for _, x := range r.sources {
			done.Removed = append(done.Removed, x.name)
			if x.producer != nil {
				x.producer.Retire()
			}
		}
		e := r.current.Swap(nil)
		e.ended = now
		r.old, r.sources = append(r.old, e), nil
		ended = append(ended, e)
		s.leaving = append(s.leaving, r)
		done.Ended = append(done.Ended, r.config.Name)
	}
	return ended
}

// turnOut takes back the leases of those whom no rule lets in any more, when what
// was lent to them was replaced and says so: who hears of a hang-up alone takes the
// sidecar for gone.
func (s *Sidecar) turnOut(replaced []*epoch) {
	for _, e := range replaced {
		<-e.finished
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.leases {
		for _, r := range s.rings {
			if r.config.Name == l.Ring && denied(r.rules, l.Peer) {
				l.Close()
			}
		}
	}
}

// openSocket lets those connect whom the new rules let in.
func (s *Sidecar) openSocket(p *plan) error {
	path := s.config.Socket.Path
	if !s.server.Present() {
		return nil // somebody else's by now
	}
	var err error
	if p.gid > 0 {
		err = os.Lchown(path, -1, p.gid)
	}
	return errors.Join(err, os.Chmod(path, p.mode))
}
