// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Probe is a tracing program like those of other tools, and one that tells what
// it ought to have seen.
type Probe struct {
	coll  *ebpf.Collection
	every link.Link
	event int // of the tracepoint; -1: none
}

// Events are those of a thread.
type Events struct {
	All   uint64
	Shown uint64 // to the program at the tracepoint
	// Misses is the kernel's own count for that program, over all threads.
	Misses uint64
}

const tracepoint = "events/timer/hrtimer_expire_entry/id"

// OpenProbe loads and attaches the programs. Not every machine has tracefs
// mounted, so it is mounted at dir for a moment.
func OpenProbe(dir string) (*Probe, error) {
	spec, err := loadProbe()
	if err != nil {
		return nil, err
	}
	p := &Probe{event: -1}
	if p.coll, err = ebpf.NewCollection(spec); err != nil {
		return nil, fmt.Errorf("load the probes: %w", err)
	}
	every := spec.Programs[probeProgEveryTimer].AttachTo
	p.every, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: every, Program: p.coll.Programs[probeProgEveryTimer]})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("attach to the raw tracepoint %s: %w", every, err), p.Close())
	}
	if err := p.attach(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("attach to a tracepoint: %w", err), p.Close())
	}
	return p, nil
}

func (p *Probe) attach(dir string) error {
	id, err := tracepointID(dir)
	if err != nil {
		return err
	}
	// The event is one CPU's, the program runs on all.
	attr := &unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Sample: 1}
	if p.event, err = unix.PerfEventOpen(attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC); err != nil {
		return err
	}
	return errors.Join(
		unix.IoctlSetInt(p.event, unix.PERF_EVENT_IOC_SET_BPF, p.coll.Programs[probeProgShownTimer].FD()),
		unix.IoctlSetInt(p.event, unix.PERF_EVENT_IOC_ENABLE, 0))
}

func tracepointID(dir string) (id uint64, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	if err := unix.Mount("tracefs", dir, "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return 0, fmt.Errorf("mount tracefs: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(dir, 0)) }()
	text, err := os.ReadFile(filepath.Join(dir, tracepoint))
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

// Watch counts the events on the calling thread, which must be locked to its
// goroutine, while do runs.
func (p *Probe) Watch(do func() error) (Events, error) {
	before, err := p.misses()
	if err != nil {
		return Events{}, err
	}
	if err := run(p.coll.Programs[probeProgWatchTimers]); err != nil {
		return Events{}, err
	}
	err = do()
	if err := errors.Join(err, run(p.coll.Programs[probeProgLeaveTimers])); err != nil {
		return Events{}, err
	}
	after, err := p.misses()
	if err != nil {
		return Events{}, err
	}
	var c probeCounted
	err = p.coll.Variables[probeVarCounted].Get(&c)
	return Events{All: c.All, Shown: c.Shown, Misses: after - before}, err
}

func (p *Probe) misses() (uint64, error) {
	stats, err := p.coll.Programs[probeProgShownTimer].Stats()
	if err != nil {
		return 0, fmt.Errorf("ask how many events a program missed: %w", err)
	}
	return stats.RecursionMisses, nil
}

// Close detaches the programs.
func (p *Probe) Close() error {
	var errs []error
	if p.event >= 0 {
		errs = append(errs, unix.Close(p.event))
	}
	if p.every != nil {
		errs = append(errs, p.every.Close())
	}
	p.coll.Close()
	return errors.Join(errs...)
}
