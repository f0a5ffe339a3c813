// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Calls times the system calls of a thread. While it is open, every system call
// on the machine takes a few dozen nanoseconds more.
type Calls struct {
	coll  *ebpf.Collection
	links []link.Link
}

// Timed is what system calls took, by the kernel's clock, between their entry
// and their exit. Time during which others had the processor is not in it;
// interrupts are.
type Timed struct {
	Calls          int
	Total, Longest time.Duration
}

// OpenCalls loads and attaches the programs.
func OpenCalls() (*Calls, error) {
	spec, err := loadCalls()
	if err != nil {
		return nil, err
	}
	c := &Calls{}
	if c.coll, err = ebpf.NewCollection(spec); err != nil {
		return nil, fmt.Errorf("load the programs that time system calls: %w", err)
	}
	for _, name := range []string{callsProgEnterCall, callsProgExitCall, callsProgSwitchThread} {
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: spec.Programs[name].AttachTo, Program: c.coll.Programs[name]})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("attach to %s: %w", spec.Programs[name].AttachTo, err), c.Close())
		}
		c.links = append(c.links, l)
	}
	return c, nil
}

// Watch times the calls that do makes on the calling thread, which must be
// locked to its goroutine.
func (c *Calls) Watch(do func() error) (Timed, error) {
	if err := run(c.coll.Programs[callsProgWatchCalls]); err != nil {
		return Timed{}, err
	}
	err := do()
	if err := errors.Join(err, run(c.coll.Programs[callsProgLeaveCalls])); err != nil {
		return Timed{}, err
	}
	var t callsTimed
	if err := c.coll.Variables[callsVarTimed].Get(&t); err != nil {
		return Timed{}, fmt.Errorf("read the time of system calls: %w", err)
	}
	return Timed{int(t.Calls), time.Duration(t.TotalNs), time.Duration(t.LongestNs)}, nil
}

// Close detaches the programs.
func (c *Calls) Close() error {
	var errs []error
	for _, l := range c.links {
		errs = append(errs, l.Close())
	}
	c.coll.Close()
	return errors.Join(errs...)
}

// run runs a program that takes no context on the calling thread.
func run(p *ebpf.Program) error {
	_, err := p.Run(&ebpf.RunOptions{})
	return err
}
