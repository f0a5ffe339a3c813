// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/changes"
	"github.com/ringside-bpf/ringside/shm"
)

// source is one pin that is to be read into one ring. The sidecar's mutex
// guards it, except for what never changes: ring, want, pin, name.
type source struct {
	ring *ring
	want *config.Map // what asked for it, possibly a pattern
	pin  string
	name string

	problem error // why it is not read, or what took its pin's place is not; nil once it is
	retryAt time.Time
	backoff time.Duration

	info     reader.Info
	task     *reader.Task
	dst      *destination
	stage    *changes.Stage // in front of dst; nil unless the mode is changes
	producer *shm.Producer  // nil until it has a place in the ring
}

// source is one that has no name yet: see nameAll.
func (r *ring) source(want *config.Map, pin string) *source {
	return &source{ring: r, want: want, pin: pin, dst: &destination{}}
}

func (s *source) options(maxHold time.Duration) reader.Options {
	return reader.Options{
		Name: s.name, MaxHold: maxHold,
		Consistency: reader.Consistency(s.want.Consistency), PerCPU: reader.PerCPU(s.want.PerCPU),
		Lookups: s.want.Mode == config.Changes,
	}
}

// moveTo makes the next scan go to another producer, which takes the place of
// the one before it in the same ring.
func (s *source) moveTo(p *shm.Producer) {
	if s.producer != nil {
		s.producer.Supersede(p)
	}
	s.producer = p
	s.dst.next.Store(p)
}

const (
	// A missing pin is looked for all the time, as workloads start when they
	// like; whatever else is wrong heals seldom, and finding out costs more.
	missingRetry = time.Second
	firstRetry   = 2 * time.Second
	lastRetry    = 30 * time.Second
)

// fail notes why the source cannot be read, and when to try again.
func (s *source) fail(err error, now time.Time) {
	s.problem = err
	if errors.Is(err, reader.ErrNotPinned) {
		s.retryAt, s.backoff = now.Add(missingRetry), 0
		return
	}
	s.backoff = min(max(2*s.backoff, firstRetry), lastRetry)
	s.retryAt = now.Add(s.backoff)
}

// codeOf classifies why a pin or map cannot be read.
func codeOf(err error) status.Code {
	for _, c := range []struct {
		is   error
		code status.Code
	}{
		{reader.ErrNotPinned, status.SourceMissing},
		{reader.ErrPermission, status.SourceDenied},
		{reader.ErrRefused, status.SourceDenied},
		{reader.ErrNotMap, status.SourceNotMap},
		{reader.ErrUnsupported, status.SourceUnsupported},
		{reader.ErrNoEngine, status.SourceUnsupported},
		{reader.ErrTooLarge, status.SourceTooLarge},
		{shm.ErrTooLarge, status.SourceTooLarge},
	} {
		if errors.Is(err, c.is) {
			return c.code
		}
	}
	return status.SourceUnreadable
}

// hopeless errors will not go away by themselves: somebody has to change the
// machine or the configuration, so that to wait for it in silence is no service.
func hopeless(err error) bool {
	return codeOf(err) != status.SourceMissing && codeOf(err) != status.SourceUnreadable || errors.Is(err, reader.ErrNotBPFFS)
}

// job makes the pool read the source.
func (s *Sidecar) job(x *source, opened *reader.Source) reader.Job {
	return reader.Job{
		Source: opened, Destination: x.destination(), Every: x.want.Every, Idle: true,
		OnReplaced: func(*reader.Source) (*reader.Source, reader.Destination, error) { return s.follow(x) },
		OnScan: func(_ reader.ScanStats, err error) {
			x.dst.scanned()
			if err != nil && !errors.Is(err, context.Canceled) {
				s.log.about(zerolog.WarnLevel, x.name, "scan failed", func(e *zerolog.Event) { e.Err(err).Str("pin", x.pin) })
			}
		},
	}
}

// follow goes over to the map that took the place of another under the same
// pin. It runs on a worker, between scans. What did not work is tried again like
// any source that cannot be opened, and not at every scan: to open a map costs
// many a scan's time.
func (s *Sidecar) follow(x *source) (*reader.Source, reader.Destination, error) {
	now := time.Now()
	s.mu.Lock()
	again, err := x.retryAt, x.problem
	s.mu.Unlock()
	if err != nil && now.Before(again) {
		return nil, nil, err
	}
	opened, err := s.takeOver(x, now)
	s.mu.Lock()
	dst := x.destination()
	if err != nil {
		x.fail(err, now)
	} else {
		x.problem, x.backoff = nil, 0
	}
	s.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	return opened, dst, nil
}

// takeOver opens the map under a source's pin and gives it a source number of
// its own.
func (s *Sidecar) takeOver(x *source, now time.Time) (*reader.Source, error) {
	opened, err := reader.Open(x.pin, x.options(s.config.Reader.MaxHold))
	if err != nil {
		return nil, err
	}
	stage, err := s.newStage(x, opened)
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	s.mu.Lock()
	before := x.info
	x.info = opened.Info()
	old, refused := x.ring.admit([]*source{x}, now)
	if err = refused[x]; err != nil {
		x.info = before
	} else {
		x.stage, stage = stage, x.stage // between scans: nobody uses the old one any more
	}
	s.mu.Unlock()
	s.supersede(old, finishPatience)
	if err != nil {
		err = errors.Join(err, opened.Close())
	}
	if err = errors.Join(err, closeStage(stage)); err != nil {
		return nil, err
	}
	s.log.about(zerolog.InfoLevel, x.name, "the map was replaced, following", func(e *zerolog.Event) {
		e.Str("source", x.name).Str("pin", x.pin).Uint32("map_id", opened.Info().MapID).Uint32("was", before.MapID)
	})
	return opened, nil
}
