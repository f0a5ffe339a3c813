// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
)

// Names of the parts, of their maps, and of the pins.
const (
	Syscalls     = "syscalls"
	Processes    = "processes"
	SchedLatency = "sched_latency"
	TCPStates    = "tcp_states"
)

var (
	// ErrPermission means that this process may not load or attach BPF programs.
	ErrPermission = errors.New("not permitted to load BPF programs")
	// ErrNothingLoaded means that this kernel can run none of the parts.
	ErrNothingLoaded = errors.New("none of the demo's programs could be loaded")
	// ErrLeftOut means that the part asked for is not running; see [Demo.Parts].
	ErrLeftOut = errors.New("this part of the demo was left out")
)

// Part is one program set with its map, and whether it runs.
type Part struct {
	Name string
	Err  error // why it was left out; nil if it runs
}

// Demo is the loaded workload. Its methods are for one goroutine at a time.
type Demo struct {
	parts  []Part
	loaded map[string]*loaded
	pins   []string
}

// Load loads and attaches every part that this kernel can run; counting starts before it returns. It
// lifts RLIMIT_MEMLOCK of the process where the kernel still charges maps to it (before 5.11).
func Load() (*Demo, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("%w: lift RLIMIT_MEMLOCK: %w; run as root", ErrPermission, err)
	}
	ns, err := ownPIDNamespace()
	if err != nil {
		return nil, fmt.Errorf("number processes as this one does: %w", err)
	}
	return load(sources(), ns)
}

func load(sources []source, ns pidNamespace) (*Demo, error) {
	d := &Demo{loaded: make(map[string]*loaded)}
	var reasons []error
	for _, s := range sources {
		l, err := s.load(ns)
		d.parts = append(d.parts, Part{Name: s.name, Err: err})
		if err != nil {
			reasons = append(reasons, fmt.Errorf("%s: %w", s.name, err))
			continue
		}
		d.loaded[s.name] = l
	}
	if len(d.loaded) > 0 {
		return d, nil
	}
	why := errors.Join(reasons...)
	if errors.Is(why, os.ErrPermission) {
		return nil, fmt.Errorf("%w (uid %d): %w; run as root, or with CAP_BPF and CAP_PERFMON", ErrPermission, os.Geteuid(), why)
	}
	return nil, fmt.Errorf("%w: %w", ErrNothingLoaded, why)
}

// Parts lists every part, in a fixed order.
func (d *Demo) Parts() []Part { return append([]Part(nil), d.parts...) }

// Pin pins the map of every running part in dir, under the part's name. dir must be in a bpffs. On an
// error nothing stays pinned. Close removes the pins.
func (d *Demo) Pin(dir string) error {
	before := len(d.pins)
	for _, p := range d.parts {
		l := d.loaded[p.Name]
		if l == nil {
			continue
		}
		path := filepath.Join(dir, p.Name)
		if err := l.table.Pin(path); err != nil {
			return errors.Join(fmt.Errorf("pin %s: %w", path, err), d.unpin(before))
		}
		d.pins = append(d.pins, path)
	}
	return nil
}

// unpin removes all pins from the given one on. A pin that is gone already, perhaps with its whole
// bpffs, is what was wanted.
func (d *Demo) unpin(from int) error {
	var errs []error
	for _, path := range d.pins[from:] {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("unpin: %w", err))
		}
	}
	d.pins = d.pins[:from]
	return errors.Join(errs...)
}

// Close stops counting, unpins and frees everything. Whoever still holds a map keeps its last content.
// Closing twice is allowed.
func (d *Demo) Close() error {
	errs := []error{d.unpin(0)}
	for name, l := range d.loaded {
		errs = append(errs, l.close())
		delete(d.loaded, name)
	}
	return errors.Join(errs...)
}

func (d *Demo) table(name string) (*ebpf.Map, error) {
	l := d.loaded[name]
	if l == nil {
		return nil, fmt.Errorf("%s: %w", name, ErrLeftOut)
	}
	return l.table, nil
}
