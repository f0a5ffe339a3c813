// SPDX-License-Identifier: Apache-2.0

package config

import "slices"

// checkModes holds what a mode needs, and what only it may have.
func (c *Config) checkModes(p *problems) {
	for i := range c.Maps {
		m := &c.Maps[i]
		if m.Mode != Changes && m.KeyframeEvery != DefaultKeyframeEvery {
			p.add(m.Origin, "take it out, or set mode: changes", "keyframe_every is for mode changes")
		}
		if m.Mode != Events {
			switch {
			case m.Poll:
				p.add(m.Origin, "take poll out, or set mode: events", "poll is for mode events")
			case m.Type != "" || m.BTF != "":
				p.add(m.Origin, "take them out: the types of rows come with the map", "type and btf are for mode events")
			}
			continue
		}
		switch {
		case m.Consistency == Locked || m.PerCPU == SumCPUs:
			p.add(m.Origin, "take consistency and percpu out", "mode events has no rows to lock or to add up")
		case m.Type != "" && m.BTF == "":
			p.add(m.Origin, "set btf to an object file, or to prog: and the pin of the program that submits them", "a ringbuf does not know its types: where is %q described?", m.Type)
		case m.Type == "" && m.BTF != "":
			p.add(m.Origin, "set type, such as 'struct event'", "btf without type: which of the types is a record?")
		}
		// Records are published as they come and by nobody but a copy; behind a
		// scan they would wait for the kernel.
		if slices.ContainsFunc(c.Maps, func(o Map) bool { return o.Ring == m.Ring && o.Mode != Events }) {
			p.add(m.Origin, "give it a ring of its own (rings, and ring: NAME here); several maps of mode events may share one",
				"mode events goes to ring %q with maps of other modes", m.Ring)
		}
	}
}
