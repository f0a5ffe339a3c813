// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/acl"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

// Changes is what a reload did: names of sources, of rings whose consumers had to
// attach again or were sent away, and of those that now let in others and go on.
type Changes struct {
	SchemaVersion int      `json:"schema_version"`
	Added         []string `json:"added"`
	Removed       []string `json:"removed"`
	Changed       []string `json:"changed"`
	Rings         []string `json:"rings"` // that were replaced
	Ended         []string `json:"ended"` // rings
	Rules         []string `json:"rules"`
}

// errNeedsRestart: a reload cannot do that.
var errNeedsRestart = errors.New("cannot be changed while the sidecar runs; start another one with 'serve --takeover'")

// ringPlan is one ring of a new configuration: itself, if it is there already, and
// what it is to become.
type ringPlan struct {
	ring   *ring
	fresh  *ring // config and rules as they will be
	before []*source
	stay   []*source
	heirs  []heir
	room   shm.Config // for its maps
	hangs  bool       // a scan of what it had does not end
}

// heir is a source that is to be opened, and the one that it replaces.
type heir struct{ source, of *source }

// plan is everything that a reload will do. Nothing is changed by making one.
type plan struct {
	config   *config.Config
	rings    []*ringPlan
	leaving  []*ring
	patterns []*pattern
	mode     os.FileMode
	gid      int
}

// reconfigure goes over to a new configuration, or says why not and leaves
// everything as it is. Only the keeper calls it.
func (s *Sidecar) reconfigure(now time.Time) (*Changes, error) {
	if s.reload == nil {
		return nil, errors.New("there is no configuration to read again")
	}
	c, err := s.reload()
	if err != nil {
		return nil, err
	}
	p, err := s.plan(c)
	if err != nil {
		return nil, err
	}
	return s.apply(p, now)
}

func (s *Sidecar) plan(c *config.Config) (*plan, error) {
	switch {
	case c.Socket.Path != s.config.Socket.Path:
		return nil, fmt.Errorf("socket.path: %w", errNeedsRestart)
	case !reflect.DeepEqual(c.Reader, s.config.Reader):
		return nil, fmt.Errorf("reader: %w", errNeedsRestart)
	}
	p := &plan{config: c}
	var all []*ring
	for _, rc := range c.Rings {
		fresh, err := s.newRing(rc)
		if err != nil {
			return nil, err
		}
		x := &ringPlan{fresh: fresh, ring: fresh}
		if at := slices.IndexFunc(s.rings, func(r *ring) bool { return r.config.Name == rc.Name }); at >= 0 {
			x.ring = s.rings[at]
			x.before = slices.Clone(x.ring.sources)
		}
		p.rings, all = append(p.rings, x), append(all, fresh)
	}
	for _, r := range s.rings {
		if !slices.ContainsFunc(p.rings, func(x *ringPlan) bool { return x.ring == r }) {
			p.leaving = append(p.leaving, r)
		}
	}
	// Paths first: what is named is not brought by a pattern.
	for _, patterns := range []bool{false, true} {
		for i := range c.Maps {
			if m := &c.Maps[i]; config.IsPattern(m.Path) == patterns {
				s.assign(p, m)
			}
		}
	}
	for _, x := range p.rings {
		if err := s.rehearse(x); err != nil {
			return nil, err
		}
	}
	var err error
	p.mode, p.gid, err = s.access(&c.Socket, all)
	return p, err
}

// assign finds what is there of a map or pattern, and what has to be made.
func (s *Sidecar) assign(p *plan, m *config.Map) {
	x := p.rings[slices.IndexFunc(p.rings, func(x *ringPlan) bool { return x.fresh.config.Name == m.Ring })]
	from := func(old *source) bool { return old.pin == m.Path }
	if config.IsPattern(m.Path) {
		from = func(old *source) bool { return old.want.Path == m.Path && !x.planned(old.pin) }
		s.keepPattern(p, x.ring, m)
	}
	met := false
	for _, old := range x.before {
		if !from(old) {
			continue
		}
		if met = true; sameMap(old.want, m) {
			x.stay = append(x.stay, old)
		} else {
			x.heirs = append(x.heirs, heir{x.ring.source(m, old.pin), old})
		}
	}
	if !met && !config.IsPattern(m.Path) {
		x.heirs = append(x.heirs, heir{x.ring.source(m, m.Path), nil})
	}
}

// keepPattern goes on with a pattern that is there, as its sources know it.
func (s *Sidecar) keepPattern(p *plan, r *ring, m *config.Map) {
	for _, old := range s.patterns {
		if old.ring == r && sameMap(old.want, m) {
			p.patterns = append(p.patterns, old)
			return
		}
	}
	p.patterns = append(p.patterns, &pattern{ring: r, want: m})
}

// planned tells whether a pin has its source already.
func (x *ringPlan) planned(pin string) bool {
	return slices.ContainsFunc(x.stay, func(y *source) bool { return y.pin == pin }) ||
		slices.ContainsFunc(x.heirs, func(h heir) bool { return h.source.pin == pin })
}

// sameMap compares what two entries ask for; where they stand is no matter.
func sameMap(a, b *config.Map) bool {
	x, y := *a, *b
	x.Origin, y.Origin = "", ""
	return reflect.DeepEqual(x, y)
}

// sameMemory tells whether a ring may keep its memory: who may attach is no
// matter.
func sameMemory(a, b config.Ring) bool {
	a.Origin, b.Origin = "", ""
	a.Allow, b.Allow = config.Allow{}, config.Allow{}
	return reflect.DeepEqual(a, b)
}

// rehearse opens what will be opened, to find out whether the ring can hold it.
// What cannot be opened now is waited for, as ever.
func (s *Sidecar) rehearse(x *ringPlan) error {
	var infos []*reader.Info
	for _, y := range x.stay {
		if y.producer == nil {
			continue
		}
		if err := y.suits(&y.info, x.fresh.config.Bytes); err != nil {
			return fmt.Errorf("ring %q: %w", x.fresh.config.Name, err)
		}
		infos = append(infos, &y.info)
	}
	fresh := make([]*source, len(x.heirs))
	for i := range x.heirs {
		fresh[i] = x.heirs[i].source
	}
	nameAll(fresh, x.stay)
	for _, y := range fresh {
		opened, err := s.openInput(y)
		if err != nil {
			continue
		}
		info := opened.Info()
		opened.Close()
		_, err = x.fresh.room([]*reader.Info{&info})
		suits := y.suits(&info, x.fresh.config.Bytes)
		if cmp.Or(err, suits) != nil && config.IsPattern(y.want.Path) {
			continue
		}
		if suits != nil {
			return fmt.Errorf("ring %q: %w", x.fresh.config.Name, suits)
		}
		infos = append(infos, &info)
	}
	var err error
	if x.room, err = x.fresh.room(infos); err != nil {
		return fmt.Errorf("ring %q: %w", x.fresh.config.Name, err)
	}
	return nil
}

// barred tells whether a ring's memory is in hands that may no longer have it.
func (s *Sidecar) barred(x *ringPlan) bool {
	for l := range s.leases {
		if l.Ring == x.ring.config.Name && denied(x.fresh.rules, l.Peer) {
			return true
		}
	}
	return false
}

func denied(r *acl.Rules, p peer) bool {
	_, err := r.Decide(subject(p))
	return err != nil
}
