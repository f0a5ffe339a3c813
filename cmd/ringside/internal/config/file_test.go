// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// everything is the file of the documentation with every field set.
const everything = `version: 1
socket: {path: /run/ringside/ringside.sock, group: ringside, mode: "0660"}
reader: {duty: 20%, max_hold: 2ms, workers_max: 3, grow_above: 1ms, shrink_below: 300us, cpus: [7, 0-2, 1], kernel_timing: true, history: 64MiB, read_when_idle: true}
rings:
  - {name: main, bytes: 16MiB, delivery: lossy, stall_timeout: 2s, allow: {uids: [1000], gids: [5], groups: [ringside]}}
maps:
  - {path: /sys/fs/bpf/flows, name: flows, ring: main, every: 50ms, mode: changes, keyframe_every: 7, consistency: locked, percpu: sum, btf: "", type: ""}
`

func TestParseEveryField(t *testing.T) {
	c, err := Parse("ringside.yaml", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	mode := os.FileMode(0o660)
	want := &Config{
		Socket: Socket{Path: "/run/ringside/ringside.sock", Group: "ringside", Mode: &mode},
		Reader: Reader{Duty: 0.2, MaxHold: 2 * time.Millisecond, WorkersMax: 3, GrowAbove: time.Millisecond,
			ShrinkBelow: 300 * time.Microsecond, CPUs: []int{0, 1, 2, 7}, KernelTiming: true, ReadWhenIdle: true, History: 64 << 20},
		Rings: []Ring{{Name: "main", Bytes: 16 << 20, StallTimeout: 2 * time.Second, Origin: "ringside.yaml:5: rings[0]",
			Allow: Allow{UIDs: []uint32{1000}, GIDs: []uint32{5}, Groups: []string{"ringside"}}}},
		Maps: []Map{{Path: "/sys/fs/bpf/flows", Name: "flows", Ring: "main", Every: 50 * time.Millisecond,
			Mode: Changes, KeyframeEvery: 7, Consistency: Locked, PerCPU: SumCPUs, Origin: "ringside.yaml:7: maps[0]"}},
	}
	if !reflect.DeepEqual(c, want) {
		t.Fatalf("got  %+v\nwant %+v", c, want)
	}
}

func TestParseDefaults(t *testing.T) {
	c, err := Parse("f", []byte("version: 1\nmaps: [{path: /sys/fs/bpf//flows}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	m := c.Maps[0]
	if m.Path != "/sys/fs/bpf/flows" || m.Ring != "main" || m.Every != DefaultEvery || m.Consistency != Walked || m.Name != "" {
		t.Fatalf("map %+v", m)
	}
	if len(c.Rings) != 1 || c.Rings[0].Name != "main" || c.Rings[0].Bytes != 0 || c.Socket.Path != "" || !reflect.DeepEqual(c.Reader, defaultReader()) {
		t.Fatalf("config %+v", c)
	}
}

func TestParseProblems(t *testing.T) {
	const head = "version: 1\n"
	const maps = "maps: [{path: /p/a}]\n"
	const events = head + "maps: [{path: /p/a, mode: events"
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "f: the file is empty"},
		{"no version", maps, "f:1: version: missing; begin the file with 'version: 1'"},
		{"wrong version", "version: 2\n" + maps, `f:1: version: "2" is unknown; use 1`},
		{"not YAML", head + "maps: [", "f: yaml: line "},
		{"two documents", head + maps + "---\nversion: 1\n", "f: the file holds more than one document"},
		{"a list", "- 1\n", "f:1: : must be a mapping of version, socket, reader, rings, maps"},
		{"unknown field", head + maps + "map: []\n", "f:3: map: unknown field; here are known: version, socket, reader, rings, maps"},
		{"unknown inner field", head + "maps:\n  - path: /p/a\n    evry: 1s\n", "f:4: maps[0].evry: unknown field"},
		{"merge key", head + "maps:\n  - {<<: {path: /p/a}}\n", "f:3: maps[0].<<: unknown field"},
		{"duplicate", head + maps + maps, "f:3: maps: given twice; keep one"},
		{"no maps", head, "maps: there is nothing to read; name at least one pin"},
		{"no unit", head + "maps: [{path: /p/a, every: 100}]", `f:2: maps[0].every: "100" is no duration; write a number with a unit`},
		{"too fast", head + "maps: [{path: /p/a, every: 10us}]", "10µs is out of bounds; use 1ms to 24h0m0s"},
		{"relative", head + "maps: [{path: flows}]", `maps[0].path: "flows" is relative; write the whole path`},
		{"null", head + "maps: [{path: }]", "maps[0].path: must be a single value"},
		{"decimal size", head + maps + "rings: [{name: main, bytes: 16MB}]", `rings[0].bytes: "16MB" is no size; write bytes, or KiB, MiB, GiB`},
		{"size", head + maps + "rings: [{name: main, bytes: 8GiB}]", "8GiB is out of bounds; use 4KiB to 4GiB"},
		{"percent", head + maps + "reader: {duty: 0.2}", `reader.duty: "0.2" is no percentage; write it as 20%, of one CPU`},
		{"NaN", head + maps + "reader: {duty: nan%}", "is no percentage"},
		{"mode", head + maps + "socket: {mode: 0060}", "mode 0060 lets not even its owner connect"},
		{"uid", head + maps + "rings: [{name: main, allow: {uids: [root]}}]", `rings[0].allow.uids[0]: "root" is no numeric id; 'id -u NAME' tells it`},
		{"ring name", head + maps + "rings: [{name: 'a b'}]", `rings[0].name: "a b" has the character ' '`},
		{"unused ring", head + maps + "rings: [{name: main}, {name: x}]", `f:3: rings[1]: no map goes to ring "x"; give a map 'ring: x', or take the ring out`},
		{"unknown ring", head + "maps: [{path: /p/a, ring: x}]", `there is no ring "x"; the rings are main`},
		{"twice", head + "maps: [{path: /p/a}, {path: /p/a}]", `/p/a goes to ring "main" twice`},
		{"same name", head + "maps: [{path: /p/a, name: n}, {path: /p/b, name: n}]", `another map of ring "main" is called "n", too`},
		{"name for many", head + "maps: [{path: '/p/*', name: n}]", "one name for all pins that match /p/*"},
		{"bad pattern", head + "maps: [{path: '/p/[a'}]", "is no pattern"},
		{"keyframes", head + "maps: [{path: /p/a, keyframe_every: 0}]", `maps[0].keyframe_every: "0" is no number of scans; use 1 to 1000000`},
		{"delivery", head + maps + "rings: [{name: main, delivery: exact}]", `rings[0].delivery: "exact" is unknown; use lossy or lossless`},
		{"percpu", head + "maps: [{path: /p/a, percpu: average}]", `maps[0].percpu: "average"`},
		{"types of rows", head + "maps: [{path: /p/a, type: struct event}]", "maps[0]: type and btf are for mode events"},
		{"types from nowhere", events + ", type: struct event}]", `maps[0]: a ringbuf does not know its types: where is "struct event" described`},
		{"types of what", events + ", btf: prog:/p/b}]", "maps[0]: btf without type"},
		{"types from a relative file", events + ", type: struct event, btf: e.o}]", `maps[0].btf: "e.o" is relative`},
		{"locked events", events + ", consistency: locked}]", "maps[0]: mode events has no rows to lock"},
		{"events beside rows", events + "}, {path: /p/b}]", `maps[0]: mode events goes to ring "main" with maps of other modes; give it a ring of its own`},
		{"a keyframe of full scans", head + "maps: [{path: /p/a, keyframe_every: 9}]", "maps[0]: keyframe_every is for mode changes; take it out, or set mode: changes"},
		{"a stall without waiting", head + maps + "rings: [{name: main, stall_timeout: 9s}]", "rings[0]: stall_timeout is for lossless rings"},
		{"rows that are polled", head + "maps: [{path: /p/a, poll: true}]", "maps[0]: poll is for mode events"},
		{"cpus", head + maps + "reader: {cpus: [0, 5-2]}", `reader.cpus[1]: "5-2" is no CPU; write its number, or a range such as 4-7`},
		{"thresholds", head + maps + "reader: {shrink_below: 1ms}", "f:3: reader: shrink_below, 1ms, is above grow_above, 500µs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("f", []byte(tt.text))
			if c != nil || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %+v, %v\nwant %s", c, err, tt.want)
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := Parse("f", []byte("version: 1\nreader: {duty: x}\nmaps:\n - {path: a}\n - {pth: /p/b}\n"))
	want := `configuration is not valid: 3 problems
  f:2: reader.duty: "x" is no percentage; write it as 20%, of one CPU
  f:4: maps[0].path: "a" is relative; write the whole path
  f:5: maps[1].pth: unknown field; here are known: path, name, ring, every, mode, keyframe_every, consistency, percpu, btf, type, poll`
	if err == nil || err.Error() != want {
		t.Fatalf("got\n%v\nwant\n%s", err, want)
	}
	_, err = Parse("f", []byte("version: 1\nmaps:\n"+strings.Repeat(" - {path: a}\n", maxProblems+5)))
	if err == nil || !strings.Contains(err.Error(), "25 problems\n") || !strings.HasSuffix(err.Error(), "\n  and 5 more") {
		t.Errorf("got\n%v", err)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ringside.yaml")
	pipe := path + ".pipe" // into which nobody writes
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, filepath.Dir(path), "/dev/null/x", pipe} {
		if _, err := Load(path); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := os.WriteFile(path, []byte(everything), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#"+strings.Repeat(" ", maxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); !errors.Is(err, ErrInvalid) {
		t.Fatalf("too large a file: %v", err)
	}
}

// FuzzParse holds that no text makes the parser panic or accept something that
// the sidecar would then have to check again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte("version: 1\nmaps: &a [{path: /p/a}, *a]\n"))
	f.Add([]byte("version: 1\nmaps: [{path: '/p/*'}]\nreader: {duty: 1e309%}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("f", text)
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v with error %v", c, err)
		}
		if err != nil {
			return
		}
		if len(c.Maps) == 0 || len(c.Rings) == 0 || c.Reader.Duty <= 0 || c.Reader.MaxHold <= 0 {
			t.Fatalf("incomplete: %+v", c)
		}
		for _, m := range c.Maps {
			if !filepath.IsAbs(m.Path) || m.Every < minEvery || !c.hasRing(m.Ring) {
				t.Fatalf("accepted %+v", m)
			}
		}
	})
}
