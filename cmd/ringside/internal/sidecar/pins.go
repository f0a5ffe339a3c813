// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/changes"
	"github.com/ringside-bpf/ringside/shm"
)

// pattern is a configured path that stands for any number of pins.
type pattern struct {
	ring    *ring
	want    *config.Map
	problem error          // why it could not be looked at
	passed  []reader.Entry // what matches and may not be opened
}

// want makes a source for every path and a pattern for every glob.
func (s *Sidecar) want() {
	for i := range s.config.Maps {
		m := &s.config.Maps[i]
		r := s.rings[slices.IndexFunc(s.rings, func(r *ring) bool { return r.config.Name == m.Ring })]
		if config.IsPattern(m.Path) {
			s.patterns = append(s.patterns, &pattern{ring: r, want: m})
			continue
		}
		r.sources = append(r.sources, r.source(m, m.Path))
	}
	for _, r := range s.rings {
		nameAll(r.sources, nil)
	}
}

// look goes once over everything that is wanted: finds what matches patterns,
// lets go of what no longer does, and opens what can be opened. Only the
// keeper calls it (and New, before there is a keeper), so it may read the lists
// of sources without the mutex, which it needs for changing them.
func (s *Sidecar) look(now time.Time) {
	for _, p := range s.patterns {
		pins, passed, err := reader.Find(p.want.Path)
		// Programs, symbolic links and what vanished meanwhile are not what a
		// pattern for maps is about. What may not be looked at could be.
		passed = slices.DeleteFunc(passed, func(e reader.Entry) bool { return e.Err == nil || codeOf(e.Err) != status.SourceDenied })
		s.mu.Lock()
		p.problem, p.passed = err, passed
		p.add(pins)
		s.mu.Unlock()
		if err == nil {
			s.retire(p, pins)
		}
		s.logPattern(p, len(pins))
	}
	for _, r := range s.rings {
		s.open(r, now)
	}
}

// logPattern tells what keeps a pattern from being read whole.
func (s *Sidecar) logPattern(p *pattern, found int) {
	say := func(path string, err error) {
		s.log.about(zerolog.WarnLevel, path, cannotRead, func(e *zerolog.Event) { e.Err(err).Str("code", string(codeOf(err))) })
	}
	if p.problem != nil {
		say(p.want.Path, p.problem)
	}
	for _, e := range p.passed {
		say(e.Path, e.Err)
	}
	if p.problem == nil && found == 0 {
		s.log.about(zerolog.InfoLevel, p.want.Path, "no map matches the pattern yet", nil)
	}
}

// add makes sources of pins that are not known yet. The caller holds the mutex.
func (p *pattern) add(pins []string) {
	var fresh []*source
	for _, pin := range pins {
		if !slices.ContainsFunc(p.ring.sources, func(x *source) bool { return x.pin == pin }) {
			fresh = append(fresh, p.ring.source(p.want, pin))
		}
	}
	nameAll(fresh, p.ring.sources)
	p.ring.sources = append(p.ring.sources, fresh...)
}

// retire lets go of maps whose pin is gone and that nobody asked for by name.
// To hold them would keep the memory of every workload that ever ran. A scan
// that hangs is waited for once, and looked at again in every round.
func (s *Sidecar) retire(p *pattern, pins []string) {
	gone := func(x *source) bool {
		if x.want != p.want || slices.Contains(pins, x.pin) {
			return false
		}
		_, err := os.Lstat(x.pin)
		return errors.Is(err, fs.ErrNotExist)
	}
	for _, x := range slices.Clone(p.ring.sources) {
		if x.ended == nil && !gone(x) || x.want != p.want || !s.hasEnded(x) {
			continue
		}
		s.mu.Lock()
		if x.producer != nil {
			x.producer.Retire()
		}
		p.ring.sources = slices.DeleteFunc(p.ring.sources, func(y *source) bool { return y == x })
		s.mu.Unlock()
		s.log.about(zerolog.InfoLevel, x.name, "the pin is gone, the map is no longer read", func(e *zerolog.Event) {
			e.Str("source", x.name).Str("pin", x.pin)
		})
	}
}

// hasEnded ends the reading of a source, and tells whether that is done. The
// keeper has more to look after than a scan that does not end, so it waits a
// little, without the mutex, and that only the first time.
func (s *Sidecar) hasEnded(x *source) bool {
	wait := time.Duration(0)
	if x.ended == nil {
		x.ended, wait = s.ending(x), drainPatience
	}
	select {
	case <-x.ended:
		return true
	case <-time.After(wait):
		return false
	}
}

// open opens a ring's sources that are due and gives them to the pool.
func (s *Sidecar) open(r *ring, now time.Time) {
	opened := map[*source]input{}
	stages := map[*source]*changes.Stage{}
	var batch []*source
	for _, x := range r.sources {
		if x.isRead() || now.Before(x.retryAt) {
			continue
		}
		o, err := s.openInput(x)
		if err != nil {
			s.cannot(x, err, now)
			continue
		}
		if stages[x], err = s.newStage(x, o); err != nil {
			s.cannot(x, errors.Join(err, o.Close()), now)
			continue
		}
		opened[x] = o
		batch = append(batch, x)
	}
	if len(batch) == 0 {
		return
	}
	s.lockToGrow()
	for x, o := range opened {
		x.info, x.stage = o.Info(), stages[x]
	}
	old, refused := s.admit(r, batch)
	s.unlockGrown()
	s.supersede(old, finishPatience)
	for _, x := range batch {
		if err := refused[x]; err != nil {
			s.cannot(x, errors.Join(err, opened[x].Close()), now)
			continue
		}
		switch in := opened[x].(type) {
		case *reader.Events:
			s.beginStream(x, in)
		case *reader.Source:
			s.begin(x, in)
		}
	}
}

const cannotRead = "cannot read the map"

// cannot files and logs why a source is not read. One that took over another's
// place in the ring tells there, too.
func (s *Sidecar) cannot(x *source, err error, now time.Time) {
	s.mu.Lock()
	if x.producer != nil {
		x.producer.Retire()
	}
	x.letGo()
	x.fail(err, now)
	s.mu.Unlock()
	s.log.about(zerolog.WarnLevel, x.name, cannotRead, func(e *zerolog.Event) {
		e.Err(err).Str("code", string(codeOf(err))).Str("ring", x.ring.config.Name)
	})
}

// begin hands an open source to the pool.
func (s *Sidecar) begin(x *source, opened *reader.Source) {
	task, err := s.pool.Add(s.job(x, opened))
	s.mu.Lock()
	x.task, x.problem, x.backoff = task, err, 0
	if task != nil {
		task.SetActive(x.ring.active)
	}
	s.mu.Unlock()
	if err != nil {
		opened.Close() // the pool has stopped, and everything with it
		return
	}
	s.logReading(x, opened.Info())
}

func (s *Sidecar) logReading(x *source, info reader.Info) {
	s.log.forget(x.name, cannotRead)
	s.log.Info().Str("source", x.name).Str("pin", x.pin).Str("ring", x.ring.config.Name).Uint32("map_id", info.MapID).
		Str("type", info.TypeName).Str("engine", info.Engine).Str("because", info.EngineReason).Stringer("every", x.want.Every).Msg("reading")
}

// nameAll gives sources their names: as configured, else the last part of the
// path, where that is taken the path below the bpffs, and the whole path in the
// end.
func nameAll(fresh, known []*source) {
	taken := map[string]int{}
	for _, x := range known {
		taken[x.name]++
	}
	for _, x := range fresh {
		taken[cmp.Or(x.want.Name, filepath.Base(x.pin))]++
	}
	for _, x := range fresh {
		x.name = cmp.Or(x.want.Name, filepath.Base(x.pin))
		if x.want.Name != "" || taken[x.name] == 1 {
			continue
		}
		if x.name = belowBPFFS(x.pin); taken[x.name] > 0 { // in another bpffs
			x.name = x.pin
		}
		taken[x.name]++
	}
}

// belowBPFFS is a pin's path from the root of its file system.
func belowBPFFS(pin string) string {
	root := filepath.Dir(pin)
	for ; root != "/"; root = filepath.Dir(root) {
		var above unix.Statfs_t
		if err := unix.Statfs(filepath.Dir(root), &above); err != nil || above.Type != unix.BPF_FS_MAGIC {
			break
		}
	}
	return strings.TrimPrefix(pin, root+"/")
}

// startable refuses a ring that cannot hold what it was asked to, while
// whoever asked is still looking. What a pattern brings was not asked for by
// name and stops nobody else.
func (s *Sidecar) startable(r *ring) error {
	s.mu.Lock() // workers may be at it already
	defer s.mu.Unlock()
	for _, x := range r.sources {
		if x.problem != nil && errors.Is(x.problem, shm.ErrTooLarge) && !config.IsPattern(x.want.Path) {
			return fmt.Errorf("ring %q: %w", r.config.Name, x.problem)
		}
	}
	return nil
}

// hope is an error if nothing that was asked for can ever be read as things
// are.
func (s *Sidecar) hope() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []error
	for _, p := range s.patterns {
		if p.problem == nil || !hopeless(p.problem) {
			return nil
		}
		all = append(all, p.problem)
	}
	for _, r := range s.rings {
		for _, x := range r.sources {
			if x.problem == nil || !hopeless(x.problem) {
				return nil
			}
			all = append(all, x.problem)
		}
	}
	return errors.Join(all...)
}
