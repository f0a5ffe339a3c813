// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// candidates in the order they are tried. Each is tried on the map itself; no
// version number is looked at.
var candidates = [...]struct {
	name string
	open func(*Source) (engine, string, error)
}{
	{EngineMmap, openMmap},
	{EnginePump, openPump},
	{EngineSweep, openSweep},
	{EngineIter, openIter},
	{EngineBatch, openBatch},
	{EngineWalk, openWalk},
}

// errOutOfQuestion marks engines that this kind of map never has: nothing to
// tell anybody about.
var errOutOfQuestion = errors.New("only arrays with BPF_F_MMAPABLE can be mapped")

// rank is the place of an engine among the candidates.
func rank(name string) int {
	for i, c := range candidates {
		if c.name == name {
			return i
		}
	}
	return len(candidates)
}

// choose sets the first engine that works on a source that has none.
func (s *Source) choose() error {
	if want := s.options.Engine; want != "" && rank(want) == len(candidates) {
		return fmt.Errorf("%s: %w: no engine is called %q", s.info.Pin, ErrNoEngine, want)
	}
	passed, ok := s.try(0, len(candidates))
	if !ok {
		return fmt.Errorf("%s: %w: %w", s.info.Pin, ErrNoEngine, passed)
	}
	return nil
}

// try installs the first of some candidates that works. It returns why the
// others were passed over.
func (s *Source) try(from, to int) (passed error, ok bool) {
	for _, c := range candidates[from:to] {
		if want := s.options.Engine; want != "" && want != c.name {
			continue
		}
		e, reason, err := c.open(s)
		if err != nil {
			if !errors.Is(err, errOutOfQuestion) || s.options.Engine != "" {
				passed = errors.Join(passed, fmt.Errorf("not %s: %w", c.name, err))
			}
			continue
		}
		if passed != nil {
			reason = fmt.Sprintf("%s (%s)", reason, oneLine(passed))
		}
		s.install(e, c.name, reason)
		if errors.Is(passed, errNotNow) {
			s.better.later(nowNS())
		}
		return passed, true
	}
	if passed == nil {
		passed = errors.New("there is no other")
	}
	return passed, false
}

// oneLine is what errors.Join joined, for people.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// fallBack replaces an engine that failed with the next one. The better one is
// tried again later.
func (s *Source) fallBack(cause error) error {
	failed := s.info.Engine
	passed, ok := s.try(rank(failed)+1, len(candidates))
	if !ok {
		return fmt.Errorf("%s: %w: %w (after %s: %w)", s.info.Pin, ErrNoEngine, passed, failed, cause)
	}
	s.explain(fmt.Sprintf("%s was given up: %v", failed, cause))
	s.better.later(nowNS())
	return nil
}

const (
	firstPause = 10 * time.Second
	lastPause  = 10 * time.Minute
)

// better remembers when an engine that failed is worth another try. Loading
// one costs milliseconds, so the pauses grow.
type better struct {
	at    int64 // CLOCK_MONOTONIC; 0: there is nothing better
	pause time.Duration
}

func (b *better) later(now int64) {
	b.pause = min(max(2*b.pause, firstPause), lastPause)
	b.at = now + int64(b.pause)
}

// tryBetter goes back to a better engine, if it is time to try and one works.
func (s *Source) tryBetter() {
	now := nowNS()
	if s.better.at == 0 || now < s.better.at {
		return
	}
	s.better.at = 0
	if passed, ok := s.try(0, rank(s.info.Engine)); !ok {
		s.explain(oneLine(passed))
		if errors.Is(passed, errNotNow) {
			s.better.later(now)
		}
	}
}

func openMmap(s *Source) (engine, string, error) {
	if s.info.Type != ebpf.Array || s.info.Flags&unix.BPF_F_MMAPABLE == 0 {
		return nil, "", errOutOfQuestion
	}
	// The kernel maps no read-only descriptor. This one is closed again right
	// away: the mapping keeps the map, and holds no right to write.
	fd, errno := objGet(s.info.Pin, 0)
	if errno != 0 {
		return nil, "", fmt.Errorf("mapping needs the pin to be opened for writing: %w", errno)
	}
	defer unix.Close(fd)
	if raw, errno := objInfo(fd); errno != 0 || raw.ID != s.info.MapID {
		return nil, "", ErrReplaced
	}
	e, err := newMmapEngine(fd, &s.info, newPace(s.options.MaxHold))
	return e, "the array is mmapable: its pages are read without a system call", err
}

func openBatch(s *Source) (engine, string, error) {
	e := newBatchEngine(s.fd, &s.info, s.rawRows(), newPace(s.options.MaxHold))
	if err := e.probe(); err != nil {
		return nil, "", err
	}
	return s.folded(e), "the map answers BPF_MAP_LOOKUP_BATCH", nil
}

func openWalk(s *Source) (engine, string, error) {
	e := newWalkEngine(s.fd, &s.info, s.rawRows(), newPace(s.options.MaxHold))
	if err := e.probe(); err != nil {
		return nil, "", err
	}
	return s.folded(e), "one key at a time", nil
}
