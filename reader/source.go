// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/scan"
)

// Source is one open map. One goroutine at a time may use it, except for Info.
type Source struct {
	fd      int
	options Options
	probe   *pinProbe
	inode   uint64     // of the pin when the map was opened
	cpus    int        // possible ones, of a per-CPU map
	sum     []scan.Int // what to add up over them; nil: every CPU's value
	guarded string     // why programs must not copy its values; empty: they may
	engine  engine
	chosen  string // the engine's own reason
	better  better
	pass    pass
	lookup  Lookup
	scans   uint64 // the last scan number given out

	mu   sync.Mutex // info may be read while a scan changes engines
	info Info
}

// Info is a copy of what is known about the source.
func (s *Source) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

// Scan makes one pass over the map. The frames it commits make a completed scan
// if, and only if, it returns nil. When an engine fails on the live map, the
// scan is interrupted, the next engine installed, and a new scan begun. The same
// happens, with the same engine, when rows were moved behind its back.
//
// It returns ErrTooLarge if dst cannot hold one row, ErrChanged if the map ran
// away under a walk (try again later), ctx's error, or dst's. It allocates
// nothing as long as nothing goes wrong.
func (s *Source) Scan(ctx context.Context, dst Destination) (ScanStats, error) {
	runtime.LockOSThread() // the thread's own clock is read: see pass.held
	defer runtime.UnlockOSThread()
	if s.engine == nil {
		return ScanStats{}, fmt.Errorf("%s: %w", s.info.Pin, ErrClosed)
	}
	if err := s.info.Fits(dst.Largest()); err != nil {
		return ScanStats{}, err
	}
	s.tryBetter()
	for {
		s.scans++
		s.pass.begin(s.scans)
		start := nowNS()
		err := s.engine.scan(ctx, dst, &s.pass)
		if f, ok := dst.(Finisher); ok && err == nil {
			err = f.Finish(ctx, &s.lookup)
		}
		s.pass.stats.Duration = time.Duration(nowNS() - start)
		if err == nil {
			return s.pass.stats, nil
		}
		if errors.Is(err, errMoved) {
			continue
		}
		if !errors.Is(err, errEngine) {
			return s.pass.stats, fmt.Errorf("%s: %w", s.info.Pin, err)
		}
		if err := s.fallBack(err); err != nil {
			return s.pass.stats, err
		}
	}
}

// install makes e the engine.
func (s *Source) install(e engine, name, reason string) {
	if s.engine != nil {
		s.engine.close()
	}
	s.engine = e
	keeps := s.options.Consistency
	t := lookupType(s.info.Type)
	if keeps == Locked && !t.array && !(t.hash && name == EngineBatch) {
		keeps = Walked
		reason += "; locked reading is for hashes and batch lookups only"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.info.Engine, s.info.EngineReason, s.info.Consistency = name, reason, keeps
	s.chosen = reason
}

// explain adds to the engine's own reason what has happened since.
func (s *Source) explain(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.info.EngineReason = s.chosen + "; " + why
}

// Fits reports, with the arithmetic, whether a destination whose largest claim
// is largest bytes can hold one row.
func (i *Info) Fits(largest int) error {
	if i.RowBytes() <= largest {
		return nil
	}
	value := fmt.Sprintf("%d", i.ValueSize)
	if i.CPUs > 0 {
		value = fmt.Sprintf("%d (%d CPUs of %d)", i.ValueSize, i.CPUs, i.ValueSize/i.CPUs)
	}
	return fmt.Errorf("%s: %w: key %d + value %s bytes take %d in a frame, which holds %d; the ring must be larger",
		i.Pin, ErrTooLarge, i.KeySize, value, i.RowBytes(), largest)
}

// Replaced looks at the pin and reports whether another map is there now. It
// costs one statx while nothing has changed. A pin that was removed is no
// replacement: the open map stays readable, and Info says so.
func (s *Source) Replaced() (bool, error) {
	if s.fd < 0 {
		return false, fmt.Errorf("%s: %w", s.info.Pin, ErrClosed)
	}
	inode, errno := s.probe.inode()
	switch {
	case errno == unix.ENOENT:
		s.setPinState(Unpinned)
		return false, nil
	case errno != 0:
		return false, fmt.Errorf("%s: look at the pin: %w", s.info.Pin, errno)
	case inode == s.inode:
		s.setPinState(Pinned)
		return false, nil
	}
	return s.confirm(inode)
}

// confirm compares maps, because the same one can be pinned again.
func (s *Source) confirm(inode uint64) (bool, error) {
	fd, err := openPin(s.info.Pin)
	if errors.Is(err, ErrNotMap) {
		s.setPinState(Unpinned)
		return false, err
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	raw, errno := objInfo(fd)
	if errno != 0 {
		return false, fmt.Errorf("%s: ask what the map is: %w", s.info.Pin, errno)
	}
	if raw.ID == s.info.MapID {
		s.inode = inode
		s.setPinState(Pinned)
		return false, nil
	}
	s.setPinState(Replaced)
	return true, nil
}

func (s *Source) setPinState(state PinState) {
	if s.info.PinState == state { // written by this goroutine alone
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.info.PinState = state
}

// Close releases the map. Closing twice is harmless.
func (s *Source) Close() error {
	if s.fd < 0 || s.probe == nil { // closed, or never opened
		return nil
	}
	var first error
	if s.engine != nil {
		first = s.engine.close()
		s.engine = nil
	}
	first = errors.Join(first, s.lookup.close())
	err := unix.Close(s.fd)
	s.fd = -1
	return errors.Join(first, err)
}
