// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/acl"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

// ring is a name that consumers attach to, through all its epochs. The
// sidecar's mutex guards it, except for what never changes: config and rules.
type ring struct {
	config  config.Ring
	rules   *acl.Rules
	current atomic.Pointer[epoch] // stored under the mutex; the heart loads it without
	old     []*epoch              // oldest first
	stuck   []*epoch              // ended over an open claim, and held by nobody else
	sources []*source
	active  bool      // somebody reads it, or it is read in any case
	lonely  time.Time // when the last consumer left
	forced  time.Time // when an attachment last made everything due
}

// live are the maps that are being read.
func (r *ring) live() []*reader.Info {
	var infos []*reader.Info
	for _, s := range r.sources {
		if s.producer != nil {
			infos = append(infos, &s.info)
		}
	}
	return infos
}

// admit gives sources, whose infos were just learnt, a place in the ring. It
// begins a new epoch if the ring has no room for them or is too small; the old
// one is returned to be finished once the mutex is free. Sources that have no
// place in any ring are in refused, with the reason. The caller holds what
// beginEpoch asks for.
func (s *Sidecar) admit(r *ring, batch []*source) (old *epoch, refused map[*source]error) {
	refused = make(map[*source]error)
	for _, x := range batch {
		_, err := r.room([]*reader.Info{&x.info})
		if err = cmp.Or(err, x.suits(&x.info, r.config.Bytes)); err != nil {
			refused[x] = err
		}
	}
	batch = slices.DeleteFunc(slices.Clone(batch), func(x *source) bool { return refused[x] != nil })
	room, err := r.room(append(r.live(), infosOf(batch)...))
	if err == nil && !r.tooSmallFor(room) {
		if err = r.append(batch); err == nil {
			return nil, refused
		}
	}
	// Too small, or its catalog is full.
	old, err = s.beginEpoch(r, room, batch)
	if err != nil {
		for _, x := range batch {
			refused[x] = err
		}
	}
	return old, refused
}

func (r *ring) tooSmallFor(room shm.Config) bool {
	return r.current.Load() == nil || powerOfTwo(room.DataBytes) > r.current.Load().publisher.Geometry().DataBytes
}

func infosOf(batch []*source) []*reader.Info {
	infos := make([]*reader.Info, len(batch))
	for i, s := range batch {
		infos[i] = &s.info
	}
	return infos
}

// append adds sources to the ring as it is.
func (r *ring) append(batch []*source) error {
	for _, s := range batch {
		producer, err := r.current.Load().publisher.AddSource(sourceInfo(s))
		if err != nil {
			return err
		}
		s.moveTo(producer)
	}
	return nil
}

// beginEpoch replaces the ring's memory: everything that is read, and the batch,
// moves over. The caller holds growing and the mutex, which is let go while the
// memory is made, a second for some GiB: sources may leave the ring meanwhile, but
// none come.
func (s *Sidecar) beginEpoch(r *ring, room shm.Config, batch []*source) (old *epoch, err error) {
	if err := r.mayBegin(); err != nil {
		return nil, err
	}
	s.mu.Unlock()
	next, err := s.newEpoch(room)
	s.mu.Lock()
	if err != nil {
		return nil, err
	}
	moving := make(map[*source]*shm.Producer)
	for _, x := range r.sources {
		if x.producer == nil && !slices.Contains(batch, x) {
			continue
		}
		if moving[x], err = next.publisher.AddSource(sourceInfo(x)); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", x.pin, err), next.publisher.Close())
		}
	}
	// Only now that nothing can fail any more.
	for x, producer := range moving {
		x.producer = nil // not superseded in the old ring: the old ring is
		x.moveTo(producer)
	}
	if old = r.current.Load(); old != nil {
		old.ended = time.Now()
		r.old = append(r.old, old)
	}
	r.current.Store(next)
	return old, nil
}

// sourceByName finds a source that is being read.
func (r *ring) sourceByName(name string) (*source, bool) {
	at := slices.IndexFunc(r.sources, func(s *source) bool { return s.name == name && s.producer != nil })
	if at < 0 {
		return nil, false
	}
	return r.sources[at], true
}

func (r *ring) sourceNames() string {
	var names []string
	for _, s := range r.sources {
		if s.producer != nil {
			names = append(names, s.name)
		}
	}
	if len(names) == 0 {
		return "nothing yet"
	}
	return strings.Join(names, ", ")
}

// sourceInfo translates what is known of a source into the catalog's words.
func sourceInfo(s *source) shm.SourceInfo {
	i := &s.info
	var flags shm.SourceFlags
	set := func(f shm.SourceFlags, on bool) {
		if on {
			flags |= f
		}
	}
	set(shm.SourcePerCPU, i.CPUs > 0)
	set(shm.SourceLockedScan, i.Consistency == reader.Locked)
	set(shm.SourceLockedValue, i.SpinLock)
	set(shm.SourceEvents, i.Engine == reader.EngineRingbuf)
	set(shm.SourceMapIDs, i.Type == ebpf.ArrayOfMaps || i.Type == ebpf.HashOfMaps)
	set(shm.SourceChanges, s.want.Mode == config.Changes)
	return shm.SourceInfo{
		Name: i.Name, MapID: i.MapID, MapType: uint32(i.Type), KeySize: uint32(i.KeySize),
		ValueSize: uint32(i.ValueSize), MapValueSize: uint32(i.MapValueSize), CPUs: uint32(i.CPUs),
		Flags: flags, MaxEntries: uint32(i.MaxEntries), Schema: schemaText(i),
	}
}
