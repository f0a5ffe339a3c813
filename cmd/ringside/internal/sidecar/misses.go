// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
)

const (
	// missesMaxAge bounds what somebody who asks for the status all the time
	// can cost.
	missesMaxAge = time.Second
	// maxPrograms bounds one look.
	maxPrograms = 8192
)

// missCounter adds up the events that BPF programs lost because another one
// was running on that CPU, or because bpf(2) had them switched off: what
// reading maps by lookups does to others. Our own programs that are shown events
// (reader.kernel_timing) are left out: what they miss is no loss of others.
type missCounter struct {
	mu     sync.Mutex
	own    []ebpf.ProgramID
	base   map[ebpf.ProgramID]uint64 // at start; nil if the kernel does not say
	total  uint64
	looked time.Time
}

func (m *missCounter) start(own []ebpf.ProgramID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.own = own
	if all, ok := countMisses(); ok {
		m.base = all
	}
}

// sinceStart is nil if the kernel does not let this process look (it takes
// CAP_SYS_ADMIN).
func (m *missCounter) sinceStart() *uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.base == nil {
		return nil
	}
	if time.Since(m.looked) > missesMaxAge {
		if all, ok := countMisses(); ok {
			m.add(all)
		}
		m.looked = time.Now()
	}
	total := m.total
	return &total
}

// add counts what is new. A program that ended takes what it lost since the
// last look along.
func (m *missCounter) add(all map[ebpf.ProgramID]uint64) {
	for id, n := range all {
		if was := m.base[id]; n > was && !slices.Contains(m.own, id) {
			m.total += n - was
		}
	}
	m.base = all
}

// countMisses asks every program on the machine.
func countMisses() (map[ebpf.ProgramID]uint64, bool) {
	all := map[ebpf.ProgramID]uint64{}
	id := ebpf.ProgramID(0)
	for range maxPrograms {
		next, err := ebpf.ProgramGetNextID(id)
		if err != nil {
			return all, errors.Is(err, os.ErrNotExist) // the end of the list
		}
		id = next
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // gone meanwhile
		}
		if stats, err := p.Stats(); err == nil {
			all[id] = stats.RecursionMisses
		}
		p.Close()
	}
	return all, true
}
