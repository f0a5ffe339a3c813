// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
)

// inspired holds our figures beside those reported by the idea that the product
// began with. They were measured elsewhere, by others, in another way.
func inspired(chapters []chapter) *table.Table {
	t := &table.Table{Columns: []table.Column{table.Text("what"), table.Number("reported"), table.Number("here"), table.Text("what differs")}}
	for _, c := range chapters {
		switch rows := c.Rows.(type) {
		case []mapRow:
			inspiredByMaps(t, rows)
			if crowds, ok := c.Parallel.([]crowdRow); ok {
				inspiredByCrowds(t, crowds)
			}
		case []overheadRow:
			inspiredByOverhead(t, rows)
		case []footprintRow:
			for _, r := range rows {
				switch r.Part {
				case "binary":
					t.Add("size of the agent's binary", "11 MB", table.Figure(float64(r.Bytes)/1e6)+" MB", "the sidecar alone; consumers are programs of their own")
				case "resident":
					t.Add("resident memory of the agent", "42 MB", table.Figure(float64(r.Bytes)/1e6)+" MB", "most of it is rings, which hold four scans of the largest map")
				}
			}
		}
	}
	return t
}

func inspiredByMaps(t *table.Table, rows []mapRow) {
	ours := map[string]mapRow{}
	for _, r := range rows {
		if r.Chosen && r.MaxHold == 0 {
			ours[r.Map] = r
		}
	}
	hash := ours["hash"]
	faster := func(than mapRow) string { return fmt.Sprintf("%.1f×", hash.NSPerRow/than.NSPerRow) }
	t.Add("reading a hash, against one lookup at a time", "2×", fmt.Sprintf("%.1f×", hash.OfIterate), "the whole path to a consumer's hands; engine "+engine(hash))
	t.Add("an array, against a hash, one reader", "1.8×", faster(ours["array"]), "rows a second; engine "+engine(ours["array"]))
	t.Add("a mmapable array, against a hash", "", faster(ours["mmapable_array"]), "no system call; not in the source")
	t.Add("a per-CPU hash, against a hash, one reader", "1.1×", faster(ours["percpu_hash"]), "a row holds the values of all CPUs")
}

func engine(r mapRow) string { return strings.TrimPrefix(r.Contender, byRingside) }

func inspiredByCrowds(t *table.Table, rows []crowdRow) {
	ours := map[string]crowdRow{}
	for _, r := range rows {
		if strings.HasPrefix(r.Contender, byRingside) {
			ours[r.Map] = r
		}
	}
	hash, perCPU := ours["hash"], ours["percpu_hash"]
	t.Add("a per-CPU hash, against a hash, eight readers", "7.9×", fmt.Sprintf("%.1f×", hash.CPUPerRow/perCPU.CPUPerRow),
		"one scan for all eight, whatever the map, so nobody contends for it; a row holds the values of all CPUs")
}

func inspiredByOverhead(t *table.Table, rows []overheadRow) {
	reported := map[string]string{partRuntime: "132 ns", partLibrary: "28 ns", partInKernel: "45 ns", partEntry: ""}
	differs := map[string]string{
		partRuntime:  "the difference of Syscall and RawSyscall",
		partLibrary:  "reported as argument passing; here all that Map.Lookup of cilium/ebpf adds",
		partEntry:    "not in the source; with this machine's mitigations",
		partInKernel: "between the tracepoints of the call; keys in no order in memory, so caches miss",
	}
	for _, r := range rows {
		if was, ok := reported[r.Part]; ok && r.Contender == byMapLookup {
			t.Add("a lookup's "+r.Part, was, table.Figure(r.NSPerRow)+" ns", differs[r.Part])
		}
	}
}
