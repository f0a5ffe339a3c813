// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
)

// maxFile bounds what is read. It holds some ten thousand maps.
const maxFile = 1 << 20

// Load reads a configuration file.
func Load(path string) (*Config, error) {
	text, err := read(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("--config: %w; let this user read it, or run as one who may", err)
	case err != nil:
		return nil, fmt.Errorf("--config: %w: %w; name a file to be read", ErrInvalid, err)
	}
	return Parse(path, text)
}

func read(path string) ([]byte, error) {
	// A named pipe into which nobody writes is as good as empty, and not waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Parse reads the text of a configuration file; file is its name in messages.
func Parse(file string, text []byte) (*Config, error) {
	d := &decoder{problems: problems{kind: ErrInvalid}, file: file}
	if len(text) > maxFile {
		d.add(file, "split it, one sidecar each", "larger than %d bytes", maxFile)
		return nil, d.err()
	}
	c := d.document(text)
	if err := d.err(); err != nil {
		return nil, err
	}
	return c.complete(&d.problems)
}

// document reads the one document that a file must hold.
func (d *decoder) document(text []byte) *Config {
	c := &Config{Reader: defaultReader()}
	in := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := in.Decode(&doc); {
	case errors.Is(err, io.EOF):
		d.add(d.file, "see docs/operations.md for one to start from", "the file is empty")
		return c
	case err != nil:
		d.add(d.file, "", "%v", err) // names the line itself
		return c
	}
	if err := in.Decode(&more); !errors.Is(err, io.EOF) {
		d.add(d.file, "keep the first", "the file holds more than one document")
		return c
	}
	version := ""
	root := doc.Content[0]
	d.mapping(root, "",
		value(d, "version", &version, func(s string) (string, error) { return s, choose(s, []string{"1"}) }),
		d.socket(&c.Socket), d.reader(&c.Reader), d.rings(c), d.maps(c))
	if version == "" && len(d.list) == 0 {
		d.add(d.at(root, "version"), "begin the file with 'version: 1'", "missing")
	}
	return c
}

func defaultReader() Reader {
	return Reader{Duty: DefaultDuty, MaxHold: DefaultMaxHold, GrowAbove: DefaultGrowAbove, ShrinkBelow: DefaultShrinkBelow, History: DefaultHistory}
}

func text(s string) (string, error) { return s, nil }

func (d *decoder) socket(s *Socket) field {
	var mode = func(text string) (m *os.FileMode, err error) {
		bits, err := parseMode(text)
		return &bits, err
	}
	return d.group("socket",
		value(d, "path", &s.Path, absolute),
		value(d, "group", &s.Group, text),
		value(d, "mode", &s.Mode, mode))
}

func (d *decoder) reader(r *Reader) field {
	all := d.group("reader",
		value(d, "duty", &r.Duty, ParsePercent),
		value(d, "max_hold", &r.MaxHold, ParseMaxHold),
		value(d, "workers_max", &r.WorkersMax, parseWorkers),
		value(d, "grow_above", &r.GrowAbove, parseLatency),
		value(d, "shrink_below", &r.ShrinkBelow, parseLatency),
		d.cpus(&r.CPUs),
		value(d, "kernel_timing", &r.KernelTiming, parseBool),
		value(d, "history", &r.History, ParseBytes),
		value(d, "read_when_idle", &r.ReadWhenIdle, parseBool))
	return field{all.name, func(n *yaml.Node, path string) {
		if all.read(n, path); r.ShrinkBelow > r.GrowAbove {
			d.add(d.at(n, path), "make shrink_below the smaller one",
				"shrink_below, %v, is above grow_above, %v: the number of workers would never rest", r.ShrinkBelow, r.GrowAbove)
		}
	}}
}

// cpus reads a list of CPUs and ranges of them. Whether this process may run
// there is not the file's matter.
func (d *decoder) cpus(into *[]int) field {
	return d.items("cpus", func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path)
		if !ok {
			return
		}
		cpus, err := parseCPUs(s)
		if err != nil {
			d.bad(n, path, err)
			return
		}
		*into = append(*into, cpus...)
		slices.Sort(*into)
		*into = slices.Compact(*into)
	})
}

func (d *decoder) rings(c *Config) field {
	return d.items("rings", func(n *yaml.Node, path string) {
		r := Ring{StallTimeout: DefaultStall, Origin: d.at(n, path)}
		d.mapping(n, path,
			value(d, "name", &r.Name, func(s string) (string, error) { return s, checkName(s, 63) }),
			value(d, "bytes", &r.Bytes, ParseBytes),
			value(d, "delivery", &r.Lossless, parseDelivery),
			value(d, "stall_timeout", &r.StallTimeout, func(s string) (time.Duration, error) {
				return ParseDuration(s, time.Millisecond, time.Hour)
			}),
			d.group("allow",
				list(d, "uids", &r.Allow.UIDs, ParseID),
				list(d, "gids", &r.Allow.GIDs, ParseID),
				list(d, "groups", &r.Allow.Groups, text)))
		c.Rings = append(c.Rings, r)
	})
}

func (d *decoder) maps(c *Config) field {
	return d.items("maps", func(n *yaml.Node, path string) {
		m := Map{Every: DefaultEvery, Mode: Full, KeyframeEvery: DefaultKeyframeEvery, Consistency: Walked, PerCPU: AllCPUs, Origin: d.at(n, path)}
		d.mapping(n, path,
			value(d, "path", &m.Path, absolute),
			value(d, "name", &m.Name, func(s string) (string, error) { return s, checkName(s, 127) }),
			value(d, "ring", &m.Ring, text),
			value(d, "every", &m.Every, ParseEvery),
			value(d, "mode", &m.Mode, parsePublishing),
			value(d, "keyframe_every", &m.KeyframeEvery, parseKeyframeEvery),
			value(d, "consistency", &m.Consistency, parseConsistency),
			value(d, "percpu", &m.PerCPU, parsePerCPU),
			value(d, "btf", &m.BTF, parseTypes),
			value(d, "type", &m.Type, text),
			value(d, "poll", &m.Poll, parseBool))
		c.Maps = append(c.Maps, m)
	})
}

// parseTypes reads where types are described.
func parseTypes(s string) (string, error) {
	place, program := strings.CutPrefix(s, "prog:")
	if s == "" {
		return "", nil
	}
	place, err := absolute(place)
	if program {
		place = "prog:" + place
	}
	return place, err
}

func parseDelivery(s string) (lossless bool, err error) {
	return s == "lossless", choose(s, []string{"lossy", "lossless"})
}

func parseConsistency(s string) (string, error) { return s, choose(s, []string{Walked, Locked}) }

func parsePerCPU(s string) (string, error) { return s, choose(s, []string{AllCPUs, SumCPUs}) }

func parsePublishing(s string) (string, error) {
	return s, choose(s, []string{Full, Changes, Events})
}

func parseKeyframeEvery(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1_000_000 {
		return 0, fmt.Errorf("%q is no number of scans; use 1 to 1000000", s)
	}
	return n, nil
}

func parseWorkers(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1024 {
		return 0, fmt.Errorf("%q is no number of workers; use 1 to 1024, or 0 for the default", s)
	}
	return n, nil
}

func parseBool(s string) (bool, error) { return s == "true", choose(s, []string{"true", "false"}) }
