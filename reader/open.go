// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Open opens the map pinned at pin and chooses how to read it. What is wrong
// with the pin itself comes as a *PinError; a map that cannot be read, as an
// error that wraps ErrUnsupported or ErrNoEngine.
func Open(pin string, o Options) (*Source, error) {
	s, err := describe(pin, o)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// describe opens a map of any type and learns what it is.
func describe(pin string, o Options) (*Source, error) {
	pin, err := filepath.Abs(pin)
	if err != nil {
		return nil, &PinError{Path: pin, Cause: err}
	}
	s := &Source{options: o.withDefaults(pin)}
	if c := s.options.Consistency; c != Walked && c != Locked {
		return nil, fmt.Errorf("%s: consistency %q is neither %s nor %s", pin, c, Walked, Locked)
	}
	if c := s.options.PerCPU; c != All && c != Sum {
		return nil, fmt.Errorf("%s: percpu %q is neither %s nor %s", pin, c, All, Sum)
	}
	if s.probe, err = newPinProbe(pin); err != nil {
		return nil, &PinError{Path: pin, Cause: err}
	}
	// Before opening: a map that takes the pin's place in between then has
	// another inode than this, and is found to be the open one by its id. The
	// other way round a replacement could stay unnoticed.
	s.inode, _ = s.probe.inode()
	if s.fd, err = openPin(pin); err != nil {
		return nil, err
	}
	if err = s.learn(pin); err != nil {
		s.Close()
		return nil, fmt.Errorf("%s: %w", pin, err)
	}
	return s, nil
}

func (o Options) withDefaults(pin string) Options {
	if o.Name == "" {
		o.Name = filepath.Base(pin)
	}
	if o.Consistency == "" {
		o.Consistency = Walked
	}
	if o.PerCPU == "" {
		o.PerCPU = All
	}
	if o.MaxHold <= 0 {
		o.MaxHold = defaultMaxHold
	}
	if o.Scratch <= 0 {
		o.Scratch = defaultScratch
	}
	return o
}

// learn fills Info with everything but the engine.
func (s *Source) learn(pin string) error {
	raw, errno := objInfo(s.fd)
	if errno != 0 {
		return fmt.Errorf("ask what the map is: %w", errno)
	}
	t := lookupType(ebpf.MapType(raw.Type))
	s.info = Info{
		Name: s.options.Name, Pin: pin, PinState: Pinned,
		MapID: raw.ID, MapName: raw.name(),
		Type: ebpf.MapType(raw.Type), TypeName: t.name, Flags: raw.Flags, MaxEntries: int(raw.MaxEntries),
		KeySize: int(raw.KeySize), ValueSize: int(raw.ValueSize), MapValueSize: int(raw.ValueSize), Frozen: fdFrozen(s.fd),
	}
	if t.perCPU {
		cpus, err := ebpf.PossibleCPU()
		if err != nil {
			return fmt.Errorf("count the possible CPUs: %w", err)
		}
		s.cpus, s.info.CPUs = cpus, cpus
		s.info.ValueSize = (int(raw.ValueSize) + 7) &^ 7 * cpus
	}
	if t.refuse == "" {
		s.info.Schema, s.info.SchemaReason, s.guarded = mapSchema(&raw, t)
	}
	return nil
}

// prepare chooses the engine.
func (s *Source) prepare() error {
	t := lookupType(s.info.Type)
	if t.refuse != "" {
		return fmt.Errorf("%s: %w: a %s map: %s", s.info.Pin, ErrUnsupported, t.name, t.refuse)
	}
	s.info.SpinLock = hasSpinLock(s.fd, &s.info)
	s.info.WordAtomic = !s.info.SpinLock
	if s.options.PerCPU == Sum {
		if err := s.sumUp(); err != nil {
			return err
		}
	}
	if err := s.choose(); err != nil {
		return err
	}
	return s.openLookup()
}

// hasSpinLock asks for a lookup under the value's lock. The kernel refuses that
// with EINVAL before it looks at the key if there is no lock, and this needs no
// right to read BTF.
func hasSpinLock(fd int, info *Info) bool {
	errno := newElemCall(fd).lookup(make([]byte, info.KeySize), make([]byte, info.ValueSize), true)
	return errno == 0 || errno == unix.ENOENT
}
