// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/rawtp"
)

// Buckets of [Counts], as in latency.c: eight to each power of two. Bucket i < 8 is i nanoseconds; the
// others begin at (8 + i%8) << (i/8 - 1).
const Buckets = 496

// Where things are in a bucket of latency.c.
const (
	bucketBytes  = 24
	tookOffset   = 8
	threadOffset = 16
	cmdOffset    = 20
)

// Counts is how many calls have taken how long since the meter was opened.
type Counts [Buckets]uint64

// Call is one call.
type Call struct {
	Took   time.Duration
	Thread uint32 // as the initial pid namespace numbers it
	Cmd    uint32 // of bpf(2): 1 look up, 4 next key, 24 batch
}

// Meter is the loaded programs.
type Meter struct {
	coll      *ebpf.Collection
	links     []*os.File
	histogram []byte // mapped
}

// Open begins to time.
func Open() (*Meter, error) {
	m := new(Meter)
	if err := m.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("time calls in the kernel: %w", err), m.Close())
	}
	return m, nil
}

func (m *Meter) open() error {
	spec, err := loadLatency()
	if err == nil {
		err = spec.Variables[latencyVarNrBpf].Set(uint32(unix.SYS_BPF))
	}
	if err == nil {
		m.coll, err = ebpf.NewCollection(spec)
	}
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w (uid %d); it takes CAP_BPF and CAP_PERFMON", err, os.Geteuid())
	}
	if err != nil {
		return err
	}
	if _, err := m.coll.Programs[latencyProgLearnSelf].Run(&ebpf.RunOptions{}); err != nil {
		return err
	}
	page := os.Getpagesize()
	size := (Buckets*bucketBytes + page - 1) &^ (page - 1)
	fd := m.coll.Maps[latencyMapHistogram].FD()
	if m.histogram, err = unix.Mmap(fd, 0, size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map the histogram: %w", err)
	}
	// Leaving first: a call that began unseen is ignored there.
	return errors.Join(m.attach("sys_exit", latencyProgLeave), m.attach("sys_enter", latencyProgEnter))
}

func (m *Meter) attach(tracepoint, program string) error {
	l, err := rawtp.Attach(tracepoint, m.coll.Programs[program])
	if err == nil {
		m.links = append(m.links, l)
	}
	return err
}

// Programs are the kernel's ids of the programs.
func (m *Meter) Programs() (ids []ebpf.ProgramID) {
	for _, p := range m.coll.Programs {
		if info, err := p.Info(); err == nil {
			if id, ok := info.ID(); ok {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// Counts is a snapshot. It asks the kernel for nothing.
func (m *Meter) Counts() (c Counts) {
	for i := range c {
		// One aligned load each, which the kernel's atomic addition never tears.
		c[i] = binary.LittleEndian.Uint64(m.histogram[i*bucketBytes:])
	}
	return c
}

// Longest is the last call in the highest bucket that has one. While another call falls into that
// bucket, it may be a mixture of both.
func (m *Meter) Longest() Call {
	for i := Buckets - 1; i >= 0; i-- {
		b := m.histogram[i*bucketBytes:][:bucketBytes]
		if binary.LittleEndian.Uint64(b) > 0 {
			return Call{
				Took:   time.Duration(binary.LittleEndian.Uint64(b[tookOffset:])),
				Thread: binary.LittleEndian.Uint32(b[threadOffset:]),
				Cmd:    binary.LittleEndian.Uint32(b[cmdOffset:]),
			}
		}
	}
	return Call{}
}

// Close stops timing. Closing twice is harmless.
func (m *Meter) Close() error {
	var errs []error
	for _, l := range m.links {
		errs = append(errs, l.Close())
	}
	m.links = nil
	if m.histogram != nil {
		errs = append(errs, unix.Munmap(m.histogram))
		m.histogram = nil
	}
	if m.coll != nil {
		m.coll.Close()
		m.coll = nil
	}
	return errors.Join(errs...)
}
