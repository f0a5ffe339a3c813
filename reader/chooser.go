// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"errors"
	"fmt"
	"strings"

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
	{EngineBatch, openBatch},
	{EngineWalk, openWalk},
}

// errOutOfQuestion marks engines that this kind of map never has: nothing to
// tell anybody about.
var errOutOfQuestion = errors.New("only arrays with BPF_F_MMAPABLE can be mapped")

// choose sets the first engine that works. After a failure at run time it
// starts behind the engine that failed.
func (s *Source) choose(failed string) error {
	skip := failed != ""
	var passed error // why better engines were not taken
	for _, c := range candidates {
		if skip {
			skip = c.name != failed
			continue
		}
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
			reason = fmt.Sprintf("%s (%s)", reason, strings.ReplaceAll(passed.Error(), "\n", "; "))
		}
		s.install(e, c.name, reason)
		return nil
	}
	if passed == nil {
		passed = errors.New("none is left to try")
		if s.options.Engine != "" && failed == "" {
			passed = fmt.Errorf("no engine is called %q", s.options.Engine)
		}
	}
	return fmt.Errorf("%s: %w: %w", s.info.Pin, ErrNoEngine, passed)
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
	e := newBatchEngine(s.fd, &s.info, newPace(s.options.MaxHold))
	if err := e.probe(); err != nil {
		return nil, "", err
	}
	return e, "the map answers BPF_MAP_LOOKUP_BATCH", nil
}

func openWalk(s *Source) (engine, string, error) {
	e := newWalkEngine(s.fd, &s.info, newPace(s.options.MaxHold))
	if err := e.probe(); err != nil {
		return nil, "", err
	}
	return e, "one key at a time", nil
}
