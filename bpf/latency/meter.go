// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/rawtp"
)

// Buckets of [Counts], as in latency.c: eight to each power of two. Bucket i < 8 is i nanoseconds; the
// others begin at (8 + i%8) << (i/8 - 1).
const Buckets = 496

// Counts is how many calls have taken how long since the meter was opened.
type Counts [Buckets]uint64

// Call is one call that took long.
type Call struct {
	Began  time.Duration // CLOCK_MONOTONIC
	Took   time.Duration
	Thread uint32 // as the initial pid namespace numbers it
	Cmd    uint32 // of bpf(2): 1 look up, 4 next key, 24 batch
}

// Meter is the loaded programs.
type Meter struct {
	objects   latencyObjects
	links     []*os.File
	histogram []byte // mapped
	reports   *ringbuf.Reader
	record    ringbuf.Record
}

// Open begins to time. Calls that take longer than threshold are reported.
func Open(threshold time.Duration) (*Meter, error) {
	m := new(Meter)
	if err := m.open(threshold); err != nil {
		return nil, errors.Join(fmt.Errorf("time calls in the kernel: %w", err), m.Close())
	}
	return m, nil
}

func (m *Meter) open(threshold time.Duration) error {
	spec, err := loadLatency()
	if err != nil {
		return err
	}
	err = errors.Join(
		spec.Variables[latencyVarNrBpf].Set(uint32(unix.SYS_BPF)),
		spec.Variables[latencyVarThresholdNs].Set(uint64(threshold)))
	if err == nil {
		err = spec.LoadAndAssign(&m.objects, nil)
	}
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w (uid %d); it takes CAP_BPF and CAP_PERFMON", err, os.Geteuid())
	}
	if err != nil {
		return err
	}
	if _, err := m.objects.LearnSelf.Run(&ebpf.RunOptions{}); err != nil {
		return err
	}
	if m.histogram, err = unix.Mmap(m.objects.Histogram.FD(), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map the histogram: %w", err)
	}
	if m.reports, err = ringbuf.NewReader(m.objects.Reports); err != nil {
		return err
	}
	m.reports.SetDeadline(time.Unix(0, 1)) // reading never waits
	// Leaving first: a call that began unseen is ignored there.
	return errors.Join(m.attach("sys_exit", m.objects.Leave), m.attach("sys_enter", m.objects.Enter))
}

func (m *Meter) attach(tracepoint string, p *ebpf.Program) error {
	l, err := rawtp.Attach(tracepoint, p)
	if err == nil {
		m.links = append(m.links, l)
	}
	return err
}

// Counts is a snapshot. It allocates nothing and asks the kernel for nothing.
func (m *Meter) Counts() (c Counts) {
	for i := range c {
		// One aligned load each, which the kernel's atomic addition never tears.
		c[i] = binary.LittleEndian.Uint64(m.histogram[8*i:])
	}
	return c
}

// Drain takes the reports that have come in, counts them, and keeps the longest in worst. Reports that
// found no room are in the histogram alone.
func (m *Meter) Drain(worst *Call) (n uint64) {
	for m.reports.ReadInto(&m.record) == nil {
		n++
		b := m.record.RawSample
		c := Call{
			Began:  time.Duration(binary.LittleEndian.Uint64(b)),
			Took:   time.Duration(binary.LittleEndian.Uint64(b[8:])),
			Thread: binary.LittleEndian.Uint32(b[16:]),
			Cmd:    binary.LittleEndian.Uint32(b[20:]),
		}
		if c.Took > worst.Took {
			*worst = c
		}
	}
	return n
}

// Close stops timing. Closing twice is harmless.
func (m *Meter) Close() error {
	var errs []error
	for _, l := range m.links {
		errs = append(errs, l.Close())
	}
	m.links = nil
	if m.reports != nil {
		errs = append(errs, m.reports.Close())
		m.reports = nil
	}
	if m.histogram != nil {
		errs = append(errs, unix.Munmap(m.histogram))
		m.histogram = nil
	}
	if m.objects.Enter != nil {
		errs = append(errs, m.objects.Close())
		m.objects = latencyObjects{}
	}
	return errors.Join(errs...)
}
