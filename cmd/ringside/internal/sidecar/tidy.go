// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// lonelyFor is how long reading goes on after the last consumer has left, so
// that one that comes and goes does not switch it on and off all the time.
const lonelyFor = time.Second

// tidy is the keeper's round over what is not a pin: the pool's rest, the old
// epochs, the measure of the duty.
func (s *Sidecar) tidy(now time.Time) {
	pool := s.pool.Stats()
	var closing []*epoch
	s.mu.Lock()
	s.duty.add(now, pool.Busy+s.ration())
	resting := s.lonelyRings(now)
	s.rest(resting)
	for _, r := range slices.Concat(s.rings, s.leaving) {
		closing = append(closing, s.forgotten(r, now)...)
		closing = append(closing, r.released()...)
	}
	s.leaving = slices.DeleteFunc(s.leaving, func(r *ring) bool { return len(r.old)+len(r.stuck) == 0 })
	s.mu.Unlock()
	for _, r := range s.rings {
		s.unstall(r)
	}
	for _, r := range resting {
		s.log.about(zerolog.InfoLevel, r.config.Name, "nobody is attached, reading rests", nil)
	}
	for _, e := range closing {
		if err := e.close(); err != nil {
			s.log.Error().Err(err).Msg("an old ring was not given back")
		}
	}
}

// lonelyRings are those that were read and that nobody has been attached to for
// a while. The caller holds the mutex.
func (s *Sidecar) lonelyRings(now time.Time) (list []*ring) {
	if s.config.Reader.ReadWhenIdle {
		return nil
	}
	attached := map[string]bool{}
	for l := range s.leases {
		attached[l.Ring] = true
	}
	for _, r := range s.rings {
		if r.active && !attached[r.config.Name] && now.Sub(r.lonely) >= lonelyFor {
			list = append(list, r)
		}
	}
	return list
}

// rest stops reading for rings, and altogether if that were all. The caller
// holds the mutex.
func (s *Sidecar) rest(rings []*ring) {
	if len(rings) == 0 {
		return
	}
	for _, r := range rings {
		r.setActive(false)
	}
	if !slices.ContainsFunc(s.rings, func(r *ring) bool { return r.active }) {
		s.pool.SetActive(false)
	}
}

// setActive switches between reading a ring's maps and letting them rest. The
// caller holds the sidecar's mutex.
func (r *ring) setActive(active bool) {
	r.active = active
	for _, x := range r.sources {
		x.setActive(active)
	}
}

// unstall gives a ring's other sources a new epoch if one of them hangs.
func (s *Sidecar) unstall(r *ring) {
	s.lockToGrow()
	old, err := s.renew(r, r.current.Load().openFor())
	s.unlockGrown()
	if err != nil {
		s.log.about(zerolog.WarnLevel, r.config.Name, "a ring that stalls cannot be replaced", func(e *zerolog.Event) { e.Err(err) })
	}
	s.supersede(old, stalledPatience)
}

// forgotten takes the old epochs that nobody holds off the ring, and takes them
// away from those who hold too many. The caller holds the mutex.
func (s *Sidecar) forgotten(r *ring, now time.Time) (closing []*epoch) {
	excess := len(r.old) - maxOldEpochs
	r.old = slices.DeleteFunc(r.old, func(e *epoch) bool {
		holders := s.holders(e)
		if excess > 0 {
			excess--
			for _, l := range holders {
				l.Close()
			}
		}
		if !e.done() || len(holders) > 0 || now.Sub(e.ended) < lingerOld {
			return false
		}
		if e.stuck == nil {
			closing = append(closing, e)
		} else {
			r.stuck = append(r.stuck, e)
		}
		return true
	})
	return closing
}

// holders are the leases on an epoch. The caller holds the mutex.
func (s *Sidecar) holders(e *epoch) (list []*handoff.Lease) {
	for l := range s.leases {
		if l.Publisher == e.publisher {
			list = append(list, l)
		}
	}
	return list
}

// supersede tells the consumers of an epoch that was replaced to attach again.
func (s *Sidecar) supersede(old *epoch, patience time.Duration) {
	if old == nil {
		return
	}
	g := old.publisher.Geometry()
	s.log.Info().Str("ring", g.Name).Str("was", size64(g.DataBytes).String()).Msg("the ring was replaced, consumers attach again")
	s.background.Go(func() {
		if err := old.finish(shm.StateSuperseded, patience); err != nil {
			s.log.Warn().Str("ring", g.Name).Err(err).Msg("a scan hangs in the old ring, its memory is kept")
		}
	})
}

// attached makes everything that a new consumer may read due at once: it should
// not wait a whole interval for its first row. Those who attach all the time do
// not get more than one round a second for it. The caller holds the mutex.
func (s *Sidecar) attached(r *ring, now time.Time) {
	if !r.active {
		r.setActive(true) // which makes everything due
		for _, x := range r.sources {
			x.wantKeyframe()
		}
		s.pool.SetActive(true)
		r.forced = now
		return
	}
	if now.Sub(r.forced) < time.Second {
		return
	}
	r.forced = now
	for _, x := range r.sources {
		x.wantKeyframe() // before it is due: the scan that begins now should be it
		if x.task != nil {
			x.task.Force()
		}
	}
}

// dutyMeter measures the share of one CPU that reading took lately.
type dutyMeter struct{ samples []dutySample }

type dutySample struct {
	at   time.Time
	busy time.Duration
}

const dutySamples = 11 // ten intervals

func (m *dutyMeter) add(at time.Time, busy time.Duration) {
	if len(m.samples) == dutySamples {
		m.samples = slices.Delete(m.samples, 0, 1)
	}
	m.samples = append(m.samples, dutySample{at, busy})
}

func (m *dutyMeter) share() float64 {
	if len(m.samples) < 2 {
		return 0
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	return float64(last.busy-first.busy) / float64(last.at.Sub(first.at))
}
