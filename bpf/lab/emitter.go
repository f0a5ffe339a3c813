// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// RecordBytes is the size of what an Emitter submits.
const RecordBytes = 16

// Record says when it was due and when it was submitted, CLOCK_MONOTONIC.
type Record struct{ DueNS, SentNS uint64 }

// ParseRecord reads one; false if it is too short for that.
func ParseRecord(b []byte) (r Record, ok bool) {
	if len(b) < RecordBytes {
		return r, false
	}
	return Record{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}, true
}

// ErrNoRoom is returned where a record found no room in the ringbuf.
var ErrNoRoom = errors.New("the ringbuf is full: nobody reads it")

// Emitter submits records to a ringbuf from within the kernel.
type Emitter struct{ coll *ebpf.Collection }

// OpenEmitter loads the program.
func OpenEmitter(ringbuf *ebpf.Map) (*Emitter, error) {
	spec, err := loadEmit()
	if err != nil {
		return nil, err
	}
	spec.Maps[emitMapTarget].MaxEntries = ringbuf.MaxEntries()
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{emitMapTarget: ringbuf}})
	if err != nil {
		return nil, fmt.Errorf("load a program that submits records: %w", err)
	}
	return &Emitter{coll}, nil
}

// Emit submits so many records, one every period. The schedule is fixed when it
// begins: nobody who is slow, not even the emitter, makes a later record due
// later. A record that is late is submitted at once and says how late it is.
func (e *Emitter) Emit(records int, period time.Duration) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The kernel may delay a thread's timers by 50 us to save power.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("ask for exact timers: %w", err)
	}
	defer unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // 0: as before
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	due := uint64(now.Nano())
	for range records {
		due += uint64(period)
		at := unix.NsecToTimespec(int64(due))
		for {
			err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil)
			if err == nil {
				break
			}
			if !errors.Is(err, unix.EINTR) {
				return fmt.Errorf("wait for the next record: %w", err)
			}
		}
		full, err := e.coll.Programs[emitProgEmit].Run(&ebpf.RunOptions{Context: due})
		if err != nil {
			return fmt.Errorf("submit a record: %w", err)
		}
		if full != 0 {
			return ErrNoRoom
		}
	}
	return nil
}

// Burst submits as many records as there is room for, at most so many, as fast as
// a program can, and says how many these were.
func (e *Emitter) Burst(records int) (sent int, err error) {
	b := emitVolley{Records: uint64(records)}
	if _, err := e.coll.Programs[emitProgBurst].Run(&ebpf.RunOptions{Context: b, ContextOut: &b}); err != nil {
		return 0, fmt.Errorf("submit records: %w", err)
	}
	return int(b.Sent), nil
}

// Close frees the programs.
func (e *Emitter) Close() error {
	e.coll.Close()
	return nil
}
