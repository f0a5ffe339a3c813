// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"strings"
	"time"
)

// Flags is what the command line says, as it was written. Empty means not said.
type Flags struct {
	File         string   // --config
	Maps         []string // --map
	Socket       string   // --socket
	AllowUIDs    []string
	AllowGIDs    []string
	RingBytes    string
	Consistency  string
	MaxHold      string
	Duty         string
	ReadWhenIdle bool
}

// Resolve makes the configuration that the flags ask for. environment is the
// socket's path from the environment, which a file's overrides.
func (f Flags) Resolve(environment string) (*Config, error) {
	from := f.withoutFile
	if f.File != "" {
		from = f.withFile
	}
	c, err := from(&problems{kind: ErrFlags})
	if err != nil {
		return nil, err
	}
	c.Socket.Path = cmp.Or(f.Socket, c.Socket.Path, environment, DefaultSocket)
	return c, nil
}

func (f Flags) withFile(p *problems) (*Config, error) {
	f.refuseBesideFile(p)
	if err := p.err(); err != nil {
		return nil, err
	}
	c, err := Load(f.File)
	if err != nil {
		return nil, err
	}
	f.allow(c, p)
	return c, p.err()
}

// refuseBesideFile keeps one place of truth: what a file can say is not said
// again beside it, where nobody knows which of the two holds.
func (f Flags) refuseBesideFile(p *problems) {
	for _, x := range []struct {
		flag, field string
		given       bool
	}{
		{"--map", "maps", len(f.Maps) > 0},
		{"--ring-bytes", "rings[].bytes", f.RingBytes != ""},
		{"--consistency", "maps[].consistency", f.Consistency != ""},
		{"--max-hold", "reader.max_hold", f.MaxHold != ""},
		{"--duty", "reader.duty", f.Duty != ""},
		{"--read-when-idle", "reader.read_when_idle", f.ReadWhenIdle},
	} {
		if x.given {
			p.add(x.flag, "set "+x.field+" in the file", "does not go with --config")
		}
	}
}

func (f Flags) withoutFile(p *problems) (*Config, error) {
	ring := Ring{Name: DefaultRing, StallTimeout: DefaultStall, Origin: "ring " + DefaultRing}
	c := &Config{Reader: defaultReader()}
	if len(f.Maps) == 0 {
		p.add("serve", "give --map PIN or --config FILE; 'ringside maps' lists what is pinned here", "there is nothing to read")
		return nil, p.err()
	}
	parsed(p, "--ring-bytes", f.RingBytes, &ring.Bytes, ParseBytes)
	parsed(p, "--max-hold", f.MaxHold, &c.Reader.MaxHold, ParseMaxHold)
	parsed(p, "--duty", f.Duty, &c.Reader.Duty, ParsePercent)
	consistency := Walked
	parsed(p, "--consistency", f.Consistency, &consistency, parseConsistency)
	c.Reader.ReadWhenIdle = f.ReadWhenIdle
	c.Rings = []Ring{ring}
	for _, m := range f.Maps {
		c.Maps = append(c.Maps, parseMap(p, m, consistency))
	}
	f.allow(c, p)
	if err := p.err(); err != nil {
		return nil, err
	}
	return c.complete(p)
}

// parseMap reads PIN[=EVERY]. A pin may have a '=' in its name, so only what
// follows the last one can be a cadence, and must be one.
func parseMap(p *problems, s, consistency string) Map {
	m := Map{Path: s, Ring: DefaultRing, Every: DefaultEvery, Mode: Full, KeyframeEvery: DefaultKeyframeEvery, Consistency: consistency, PerCPU: AllCPUs, Origin: "--map " + s}
	if i := strings.LastIndexByte(s, '='); i >= 0 {
		m.Path = s[:i]
		every := s[i+1:]
		d, err := ParseEvery(every)
		if err != nil {
			p.add(m.Origin, "a pin with '=' in its name takes one more, as in "+s+"=100ms", "%v", err)
			d = time.Second
		}
		m.Every = d
	}
	clean, err := absolute(m.Path)
	if err != nil {
		p.add(m.Origin, "", "%v", err)
	}
	m.Path = clean
	return m
}

// allow adds the ids that the command line lets in, to every ring.
func (f Flags) allow(c *Config, p *problems) {
	var uids, gids []uint32
	for _, s := range f.AllowUIDs {
		var id uint32
		parsed(p, "--allow-uid", s, &id, ParseID)
		uids = append(uids, id)
	}
	for _, s := range f.AllowGIDs {
		var id uint32
		parsed(p, "--allow-gid", s, &id, ParseID)
		gids = append(gids, id)
	}
	for i := range c.Rings {
		a := &c.Rings[i].Allow
		a.UIDs, a.GIDs = append(a.UIDs, uids...), append(a.GIDs, gids...)
	}
}

func parsed[T any](p *problems, flag, s string, into *T, parse func(string) (T, error)) {
	if s == "" {
		return
	}
	v, err := parse(s)
	if err != nil {
		p.add(flag, "", "%v", err)
		return
	}
	*into = v
}
