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
	task     *reader.Task // of a map that is scanned
	stream   *stream      // of a ringbuf that is emptied
	dst      *destination
	stage    *changes.Stage  // in front of dst; nil unless the mode is changes
	producer *shm.Producer   // nil until it has a place in the ring
	ended    <-chan struct{} // the keeper's: reading is being ended, as the pin is gone
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

// input is a map that was opened, to be scanned or to be emptied.
type input interface {
	Info() reader.Info
	Close() error
}

// openInput opens what a source names.
func (s *Sidecar) openInput(x *source) (input, error) {
	if x.want.Mode == config.Events {
		return reader.OpenEvents(x.pin, x.eventOptions(&s.config.Reader))
	}
	return reader.Open(x.pin, x.options(s.config.Reader.MaxHold))
}

// isRead tells whether something reads the source's map.
func (x *source) isRead() bool { return x.task != nil || x.stream != nil }

// setActive switches between reading and letting rest. The caller holds the
// mutex.
func (x *source) setActive(active bool) {
	switch {
	case x.task != nil:
		x.task.SetActive(active)
	case x.stream != nil:
		x.stream.setActive(active)
	}
}

// end stops reading and waits until that has come to its end.
func (x *source) end() {
	switch {
	case x.task != nil:
		x.task.Remove()
	case x.stream != nil:
		x.stream.end()
	}
}

// follow is replace for a map that is scanned.
func (s *Sidecar) follow(x *source) (*reader.Source, reader.Destination, error) {
	opened, err := replace(s, x, func() (*reader.Source, error) { return reader.Open(x.pin, x.options(s.config.Reader.MaxHold)) })
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return opened, x.destination(), nil
}

// replace goes over to the map that took the place of another under the same
// pin. It runs where the source is read, between scans. What did not work is
// tried again like any source that cannot be opened, and not at every scan: to
// open a map costs many a scan's time.
func replace[T input](s *Sidecar, x *source, open func() (T, error)) (opened T, err error) {
	now := time.Now()
	s.mu.Lock()
	again, err := x.retryAt, x.problem
	s.mu.Unlock()
	if err != nil && now.Before(again) {
		return opened, err
	}
	taken, err := open()
	if err == nil {
		err = s.takeOver(x, taken)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		x.fail(err, now)
		return opened, err
	}
	x.problem, x.backoff = nil, 0
	return taken, nil
}

// takeOver gives the map under a source's pin, which was opened, a source number
// of its own, or closes it.
func (s *Sidecar) takeOver(x *source, opened input) error {
	stage, err := s.newStage(x, opened)
	if err != nil {
		return errors.Join(err, opened.Close())
	}
	s.lockToGrow()
	before := x.info
	x.info = opened.Info()
	old, refused := s.admit(x.ring, []*source{x})
	if err = refused[x]; err != nil {
		x.info = before
	} else {
		x.stage, stage = stage, x.stage // between scans: nobody uses the old one any more
	}
	s.unlockGrown()
	s.supersede(old, finishPatience)
	if err != nil {
		err = errors.Join(err, opened.Close())
	}
	if err = errors.Join(err, closeStage(stage)); err != nil {
		return err
	}
	s.log.about(zerolog.InfoLevel, x.name, "the map was replaced, following", func(e *zerolog.Event) {
		e.Str("source", x.name).Str("pin", x.pin).Uint32("map_id", opened.Info().MapID).Uint32("was", before.MapID)
	})
	return nil
}
