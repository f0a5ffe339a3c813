// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"

	"github.com/ringside-bpf/ringside/reader"
)

// SchemaVersion of both documents.
const SchemaVersion = 1

// Pinned is the document of `maps -o json`.
type Pinned struct {
	SchemaVersion int      `json:"schema_version"`
	BPFFS         string   `json:"bpffs"`
	Maps          []Map    `json:"maps"`
	PassedOver    []Passed `json:"passed_over"`
}

// Map is one pinned map. Sizes are bytes.
type Map struct {
	Name         string `json:"name"` // what `serve` would call it, but for collisions
	Pin          string `json:"pin"`
	MapID        uint32 `json:"map_id"`
	MapName      string `json:"map_name"`
	MapType      string `json:"map_type"`
	KeySize      int    `json:"key_size"`
	ValueSize    int    `json:"value_size"`     // of a row: all CPUs, each rounded up to 8
	MapValueSize int    `json:"map_value_size"` // as the map was created
	CPUs         int    `json:"cpus"`           // values a key; 0: the map is not per-CPU
	MaxEntries   int    `json:"max_entries"`
	Schema       bool   `json:"schema"` // rows have types
	SchemaReason string `json:"schema_reason,omitempty"`
	Readable     bool   `json:"readable"`
	Engine       string `json:"engine,omitempty"`
	EngineReason string `json:"engine_reason"` // also why there is none

	// With --advise, of a map that can be read; not nil then.
	Cost   *Cost    `json:"cost,omitempty"`
	Advice []Advice `json:"advice,omitzero"`
	// CostReason is why cost and advice are missing though they were asked for.
	CostReason string `json:"cost_reason,omitempty"`
}

// Passed is an entry that is no map, or could not be looked at.
type Passed struct {
	Path   string `json:"path"`
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
}

// ErrNothingReadable: there are entries, and the right to look at none of them.
var ErrNothingReadable = errors.New("nothing pinned there may be looked at")

// Collect looks at everything below dir.
func Collect(dir string) (*Pinned, error) {
	return collect(dir, reader.List(dir, reader.Options{}))
}

// Advise adds to every map what reading it costs and what makes it slow. It reads
// each of them once, for a bounded time.
func (d *Pinned) Advise() {
	for i := range d.Maps {
		m := &d.Maps[i]
		if !m.Readable {
			continue
		}
		info, cost, err := measure(m.Pin)
		if err != nil {
			m.CostReason = without(m.Pin, err)
			continue
		}
		m.Cost, m.Advice = cost, advise(info, cost)
	}
}

func collect(dir string, entries iter.Seq[reader.Entry]) (*Pinned, error) {
	doc := &Pinned{SchemaVersion: SchemaVersion, BPFFS: dir, Maps: []Map{}, PassedOver: []Passed{}}
	var denied error
	for e := range entries {
		switch {
		case e.Kind == reader.KindDir && e.Path == dir:
			return nil, rootError(dir, e.Err)
		case e.Info != nil:
			doc.Maps = append(doc.Maps, newMap(e))
		default:
			doc.PassedOver = append(doc.PassedOver, newPassed(e))
		}
		if errors.Is(e.Err, reader.ErrPermission) || errors.Is(e.Err, reader.ErrRefused) {
			denied = e.Err
		}
	}
	if len(doc.Maps) == 0 && denied != nil {
		return nil, fmt.Errorf("%s: %w, %d passed over; for one, %w", dir, ErrNothingReadable, len(doc.PassedOver), denied)
	}
	return doc, nil
}

func newMap(e reader.Entry) Map {
	i := e.Info
	m := Map{
		Name: i.Name, Pin: i.Pin, MapID: i.MapID, MapName: i.MapName, MapType: i.TypeName,
		KeySize: i.KeySize, ValueSize: i.ValueSize, MapValueSize: i.MapValueSize, CPUs: i.CPUs, MaxEntries: i.MaxEntries,
		Schema: i.Schema != nil, SchemaReason: i.SchemaReason,
		Readable: e.Err == nil, Engine: i.Engine, EngineReason: i.EngineReason,
	}
	switch {
	case e.Err == nil:
	case m.Engine == reader.EngineRingbuf: // which reads no rows, but events
		m.EngineReason = "a stream with a single read position, not a table: mode: events takes its records, and makes ringside their only reader"
	default:
		m.Engine, m.EngineReason = "", without(e.Path, e.Err)
	}
	return m
}

func newPassed(e reader.Entry) Passed {
	p := Passed{Path: e.Path, Kind: string(e.Kind)}
	switch {
	case e.Kind == reader.KindOther && strings.Contains(filepath.Base(e.Path), "."):
		// A bpffs refuses dots in names to everybody but the kernel, which
		// puts maps.debug and progs.debug there.
		p.Kind, p.Reason = "file", "the kernel's own, a text to be read with cat"
	case e.Err != nil:
		p.Reason = without(e.Path, e.Err)
	default:
		p.Reason = "a " + p.Kind + ", not a map"
	}
	return p
}

// without words an error whose path stands beside it.
func without(path string, err error) string {
	return strings.TrimPrefix(err.Error(), path+": ")
}
