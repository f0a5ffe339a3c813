// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
)

// mapRow is one contender on one type of map.
type mapRow struct {
	Map           string  `json:"map"`
	Contender     string  `json:"contender"`
	Entries       int     `json:"entries"`
	KeySize       int     `json:"key_size"`
	ValueSize     int     `json:"value_size"` // of a row as it is delivered: all CPUs, or their sum
	NSPerRow      float64 `json:"ns_per_row"`
	P10           float64 `json:"ns_per_row_p10"`
	P90           float64 `json:"ns_per_row_p90"`
	HeadNS        float64 `json:"head_ns_per_row,omitempty"` // ringside: until it was in the ring
	RowsPerSecond float64 `json:"rows_per_second"`
	MBPerSecond   float64 `json:"mb_per_second"`
	HoldNS        float64 `json:"hold_ns_max"`
	Allocs        float64 `json:"allocs_per_scan"`
	Rounds        int     `json:"rounds"`
	ChunkRows     int     `json:"chunk_rows,omitempty"` // of one call, where it was tuned
	// Of ringside alone.
	Chosen       bool          `json:"chosen,omitempty"` // by ringside; else the engine was forced
	Reason       string        `json:"engine_reason,omitempty"`
	MaxHold      time.Duration `json:"max_hold_ns,omitempty"` // if it was set
	MapBytes     uint64        `json:"map_bytes,omitempty"`
	RingBytes    uint64        `json:"ring_bytes,omitempty"`
	ScratchBytes int           `json:"scratch_bytes,omitempty"`
	Memory       float64       `json:"memory_factor,omitempty"`
	// Compared round by round; 0: there is no such contender.
	OfIterate float64 `json:"times_faster_than_iterate,omitempty"`
	OfRaw     float64 `json:"times_of_raw_batch,omitempty"`
	OfMemcpy  float64 `json:"head_times_of_memcpy,omitempty"`
}

func (r mapRow) ours() bool { return r.Reason != "" }

// ns is what one contender took, by round. It is empty if there is no such one.
func (x *race) ns(i int) []float64 {
	if i < 0 {
		return nil
	}
	return stat.Each(x.samples[i], pass.nsPerRow)
}

// rows puts the samples of a map into the document.
func (x *race) rows() []mapRow {
	var rows []mapRow
	for i, c := range x.list {
		ns := x.ns(i)
		took := stat.Of(ns)
		row := mapRow{
			Map: x.trial.name, Contender: c.name, Entries: x.filled.entries, KeySize: x.keySize, ValueSize: x.valueSize,
			NSPerRow: took.Median, P10: took.P10, P90: took.P90, HeadNS: stat.By(x.samples[i], pass.headNS).Median,
			HoldNS: x.holds[i], Allocs: stat.By(x.samples[i], pass.allocs).Median,
			Rounds: took.N, ChunkRows: c.chunk, MaxHold: c.hold, Chosen: c.chosen,
			OfIterate: stat.Ratio(x.ns(x.index(byIterate)), ns).Median,
			OfRaw:     stat.Ratio(ns, x.ns(x.index(byRawBatch))).Median,
		}
		if c.ours != nil {
			x.addOurs(&row, i)
		}
		row.RowsPerSecond = 1e9 / took.Median
		row.MBPerSecond = 1e3 / took.Median * float64(row.KeySize+row.ValueSize)
		rows = append(rows, row)
	}
	return rows
}

// addOurs adds what only ringside has.
func (x *race) addOurs(row *mapRow, i int) {
	info := x.list[i].ours.Info()
	row.Reason, row.ValueSize = info.EngineReason, info.ValueSize
	if j := x.index(byMemcpy); j >= 0 {
		row.OfMemcpy = stat.Ratio(stat.Each(x.samples[i], pass.headNS), x.ns(j)).Median
	}
	row.MapBytes, row.RingBytes = x.bytes, x.ring.Geometry().DataBytes
	for _, p := range x.samples[i] {
		row.ScratchBytes = max(row.ScratchBytes, p.scratch)
	}
	if row.MapBytes > 0 {
		row.Memory = float64(row.RingBytes+uint64(row.ScratchBytes)) / float64(row.MapBytes)
	}
}
