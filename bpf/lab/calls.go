// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Calls times the system calls of a thread.
type Calls struct {
	coll  *ebpf.Collection
	links []link.Link
}

// Timed is what system calls took, by the kernel's clock, between their entry
// and their exit. Time during which other threads had the processor is not in it;
// interrupts are, and what a hypervisor took.
type Timed struct {
	Calls          int
	Total, Longest time.Duration
	Whole          time.Duration // in and between the calls
}

// OpenCalls loads the programs.
func OpenCalls() (*Calls, error) {
	spec, err := loadCalls()
	if err != nil {
		return nil, err
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load the programs that time system calls: %w", err)
	}
	return &Calls{coll: coll}, nil
}

// Attach makes ready to watch. Until Detach, every system call on the machine takes
// a few hundred nanoseconds more; either takes milliseconds.
func (c *Calls) Attach() error {
	for name, at := range map[string]string{
		callsProgEnterCall: "sys_enter", callsProgExitCall: "sys_exit", callsProgSwitchThread: "sched_switch",
	} {
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: at, Program: c.coll.Programs[name]})
		if err != nil {
			return errors.Join(fmt.Errorf("attach to %s: %w", at, err), c.Detach())
		}
		c.links = append(c.links, l)
	}
	return nil
}

// Detach ends what Attach began.
func (c *Calls) Detach() error {
	var errs []error
	for _, l := range c.links {
		errs = append(errs, l.Close())
	}
	c.links = nil
	return errors.Join(errs...)
}

// Watch times the calls that do makes on the calling thread, which must be
// locked to its goroutine.
func (c *Calls) Watch(do func() error) (t Timed, err error) {
	if err := run(c.coll.Programs[callsProgWatchCalls]); err != nil {
		return t, err
	}
	start := time.Now()
	err = do()
	whole := time.Since(start)
	if err := errors.Join(err, run(c.coll.Programs[callsProgLeaveCalls])); err != nil {
		return t, err
	}
	var counted callsTimed
	if err := c.coll.Variables[callsVarTimed].Get(&counted); err != nil {
		return t, fmt.Errorf("read the time of system calls: %w", err)
	}
	return Timed{int(counted.Calls), time.Duration(counted.TotalNs), time.Duration(counted.LongestNs), whole - time.Duration(counted.AbsentNs)}, nil
}

// Close detaches and frees the programs.
func (c *Calls) Close() error {
	err := c.Detach()
	c.coll.Close()
	return err
}

// run runs a program that takes no context on the calling thread.
func run(p *ebpf.Program) error {
	_, err := p.Run(&ebpf.RunOptions{})
	return err
}
