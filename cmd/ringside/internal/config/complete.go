// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// absolute accepts paths that mean the same wherever the sidecar is started.
func absolute(s string) (string, error) {
	if !path.IsAbs(s) {
		return "", fmt.Errorf("%q is relative; write the whole path", s)
	}
	if strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("%q has a NUL character", s)
	}
	return path.Clean(s), nil
}

// IsPattern tells whether a path stands for any number of pins.
func IsPattern(p string) bool { return strings.ContainsAny(p, `*?[`) }

// complete fills in what follows from the rest and checks the parts against
// each other.
func (c *Config) complete(p *problems) (*Config, error) {
	if len(c.Rings) == 0 {
		c.Rings = []Ring{{Name: DefaultRing, StallTimeout: DefaultStall, Origin: "the default ring"}}
	}
	c.checkRings(p)
	c.checkMaps(p)
	c.checkModes(p)
	if err := p.err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Config) checkRings(p *problems) {
	seen := map[string]bool{}
	for _, r := range c.Rings {
		switch {
		case r.Name == "":
			p.add(r.Origin, "give it one", "the ring has no name")
		case seen[r.Name]:
			p.add(r.Origin, "keep one of them", "another ring is called %q, too", r.Name)
		case !r.Lossless && r.StallTimeout != DefaultStall:
			p.add(r.Origin, "take it out, or set delivery: lossless", "stall_timeout is for lossless rings: nobody waits on ring %q", r.Name)
		case len(c.Maps) > 0 && !slices.ContainsFunc(c.Maps, func(m Map) bool { return m.Ring == r.Name || m.Ring == "" && r.Name == DefaultRing }):
			p.add(r.Origin, fmt.Sprintf("give a map 'ring: %s', or take the ring out", r.Name), "no map goes to ring %q", r.Name)
		}
		seen[r.Name] = true
	}
}

func (c *Config) checkMaps(p *problems) {
	if len(c.Maps) == 0 {
		p.add("maps", "name at least one pin; 'ringside maps' lists what is pinned here", "there is nothing to read")
	}
	type place struct{ ring, what string }
	paths, named := map[place]bool{}, map[place]bool{}
	for i := range c.Maps {
		m := &c.Maps[i]
		if m.Ring == "" {
			m.Ring = DefaultRing
		}
		at, name := place{m.Ring, m.Path}, place{m.Ring, m.Name}
		switch {
		case m.Path == "":
			p.add(m.Origin, "give it the path of a pin", "the map has no path")
		case !c.hasRing(m.Ring):
			p.add(m.Origin, "the rings are "+c.ringNames(), "there is no ring %q", m.Ring)
		case paths[at]:
			p.add(m.Origin, "keep one of them", "%s goes to ring %q twice", m.Path, m.Ring)
		case m.Name != "" && IsPattern(m.Path):
			p.add(m.Origin, "leave the name out, each takes its pin's", "one name for all pins that match %s", m.Path)
		case m.Name != "" && named[name]:
			p.add(m.Origin, "give it another name", "another map of ring %q is called %q, too", m.Ring, m.Name)
		default:
			if _, err := path.Match(m.Path, ""); err != nil {
				p.add(m.Origin, "brackets need to be closed", "%s is no pattern: %v", m.Path, err)
			}
		}
		paths[at], named[name] = true, true
	}
}

func (c *Config) hasRing(name string) bool {
	return slices.ContainsFunc(c.Rings, func(r Ring) bool { return r.Name == name })
}

func (c *Config) ringNames() string {
	names := make([]string, len(c.Rings))
	for i, r := range c.Rings {
		names[i] = r.Name
	}
	return strings.Join(names, ", ")
}
