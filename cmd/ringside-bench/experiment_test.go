// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/machine"
)

// tiny is an experiment that is over as soon as it has its rounds.
var tiny = options{entries: 512, large: 2048, lasts: time.Millisecond, short: true, pass: 100 * time.Microsecond}

// document is what a script sees of any experiment.
type document struct {
	SchemaVersion int             `json:"schema_version"`
	Experiment    string          `json:"experiment"`
	Machine       machine.Machine `json:"machine"`
	Rows          []map[string]any
	Parallel      []map[string]any
	Figures       []figure
}

// asJSON prints a result and reads it back, as a script does.
func asJSON(t *testing.T, r *result) document {
	t.Helper()
	var b bytes.Buffer
	if err := r.json(&b); err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	if d.SchemaVersion != 1 || d.Machine.CPUs < 1 || d.Machine.Kernel == "" || d.Machine.Go == "" || d.Machine.Model == "" {
		t.Errorf("machine %+v, schema_version %d", d.Machine, d.SchemaVersion)
	}
	if len(d.Rows) == 0 || len(r.Method) == 0 {
		t.Errorf("%d rows, %d sentences of method", len(d.Rows), len(r.Method))
	}
	return d
}

// runTiny makes an experiment, and prints it, too.
func runTiny(t *testing.T, name string) document {
	t.Helper()
	bpftest.RequireRoot(t)
	i := slices.IndexFunc(experiments(), func(e experiment) bool { return e.name == name })
	r, err := measure(t.Context(), experiments()[i], tiny, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.print(t.Output()); err != nil {
		t.Error(err)
	}
	d := asJSON(t, r)
	if d.Experiment != name {
		t.Errorf("experiment %q", d.Experiment)
	}
	return d
}

// mustHave fails unless every row has these keys, and numbers that are not
// negative where it promises measurements.
func mustHave(t *testing.T, rows []map[string]any, texts, numbers []string) {
	t.Helper()
	for _, row := range rows {
		for _, k := range texts {
			if s, ok := row[k].(string); !ok || s == "" {
				t.Errorf("%q is %v in %v", k, row[k], row)
			}
		}
		for _, k := range numbers {
			if n, ok := row[k].(float64); !ok || n < 0 {
				t.Errorf("%q is %v in %v", k, row[k], row)
			}
		}
	}
}

func TestMaptypes(t *testing.T) {
	d := runTiny(t, "maptypes")
	mustHave(t, d.Rows, []string{"map", "contender"}, []string{"entries", "key_size", "value_size", "ns_per_row", "hold_ns_max", "allocs_per_scan"})
	got := map[string][]string{}
	for _, row := range d.Rows {
		if row["ns_per_row"].(float64) == 0 || row["entries"].(float64) < 1 {
			t.Errorf("nothing was measured: %v", row)
		}
		// The steady state allocates nothing: that is counted, not timed.
		if row["chosen"] == true && row["allocs_per_scan"].(float64) != 0 {
			t.Errorf("%v allocates %v times a scan", row["map"], row["allocs_per_scan"])
		}
		of := fmt.Sprintf("%v/%v", row["map"], row["entries"])
		if row["chosen"] == true || !strings.HasPrefix(row["contender"].(string), byRingside) { // others depend on the kernel
			got[of] = append(got[of], row["contender"].(string))
		}
	}
	others := []string{byIterate, byBatchLookup, byRawBatch}
	for of, want := range map[string][]string{
		"hash/512": {byFloorWalk, byRingside + "pump"}, "lpm_trie/512": {byRingside + "batch"},
		"array/512": {byMemcpy, byRingside + "pump"}, "mmapable_array/512": {byMemcpy, byRingside + "mmap"},
		"hash/2048": {byFloorWalk, byRingside + "pump", byRingside + "pump"},
	} {
		if want = append(slices.Clone(others), want...); !slices.Equal(got[of], want) {
			t.Errorf("%s: contenders %v, want %v", of, got[of], want)
		}
	}
	if len(d.Figures) != 2*7+1+3 || len(d.Parallel) != 7 {
		t.Errorf("%d figures, %d rows in parallel", len(d.Figures), len(d.Parallel))
	}
}

func TestRing(t *testing.T) {
	d := runTiny(t, "ring")
	mustHave(t, d.Rows, []string{"contender"}, []string{"producers", "ns_per_row"})
	if len(d.Rows) != 3+3*3+2*3 || len(d.Figures) != 2 {
		t.Errorf("%d rows, %d figures", len(d.Rows), len(d.Figures))
	}
}

func TestRows(t *testing.T) {
	d := runTiny(t, "rows")
	mustHave(t, d.Rows, []string{"contender"}, []string{"ns_per_row", "times_of_slice"})
	for i, want := range []string{bySlice, byLease, byCopies} {
		if d.Rows[i]["contender"] != want {
			t.Errorf("row %d is %v", i, d.Rows[i])
		}
	}
}

func TestSyscalls(t *testing.T) {
	d := runTiny(t, "syscalls")
	mustHave(t, d.Rows, []string{"contender", "thread", "syscall"}, []string{"calls", "rows", "calls_per_million_rows"})
	for _, row := range d.Rows {
		if row["contender"] == byReading && row["thread"] == readingThread && row["whose"] == whoseOurs {
			t.Errorf("a reading consumer made system calls: %v", row)
		}
	}
}

func TestSleepers(t *testing.T) {
	bpftest.RequireRoot(t)
	b, err := newBench("sleepers", tiny, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.sleepers(t.Context(), sleepPlan{[]int{0, 2}, 10 * time.Millisecond, 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
	d := asJSON(t, r)
	mustHave(t, d.Rows, []string{"contender"}, []string{"readers", "every_ms", "publisher_cpu_ns_per_row"})
	if len(d.Rows) != 2*3 || len(d.Figures) != 2 {
		t.Errorf("%d rows, %d figures", len(d.Rows), len(d.Figures))
	}
}

func TestOverhead(t *testing.T) {
	d := runTiny(t, "overhead")
	parts := map[string][]string{}
	for _, row := range d.Rows {
		parts[row["contender"].(string)] = append(parts[row["contender"].(string)], row["part"].(string))
		if row["part"] == partWhole && row["ns_per_row"].(float64) <= 0 {
			t.Errorf("nothing was measured: %v", row)
		}
	}
	for contender, want := range map[string][]string{
		byEmptyCall: {partWhole}, byRawLookup: {partWhole, partEntry, partInKernel},
		byMapLookup: {partWhole, partLibrary, partRuntime, partEntry, partInKernel}, byRawBatch: {partWhole, partOutside, partInKernel},
	} {
		if !slices.Equal(parts[contender], want) {
			t.Errorf("%s has the parts %v, want %v", contender, parts[contender], want)
		}
	}
}

func TestCauses(t *testing.T) {
	d := runTiny(t, "causes")
	mustHave(t, d.Rows, []string{"layout", "contender"}, []string{"payload_bytes", "value_size", "fill_percent", "entries", "writers", "ns_per_row"})
	if want := len(payloads()) * 2 * len(fills()) * len(writers()) * 3; len(d.Rows) != want {
		t.Errorf("%d rows, want %d", len(d.Rows), want)
	}
}

func TestDisturb(t *testing.T) {
	d := runTiny(t, "disturb")
	mustHave(t, d.Rows, []string{"contender", "map"}, []string{"scans", "recursion_misses", "events"})
	for _, row := range d.Rows {
		if row["chosen"] == true && row["recursion_misses"].(float64) > 0 {
			t.Errorf("others lose events: %v", row)
		}
	}
}

func TestChurn(t *testing.T) {
	d := runTiny(t, "churn")
	mustHave(t, d.Rows, []string{"contender", "map"}, []string{"scans", "aborted_scans", "missed_per_million", "repeated_per_million", "discarded_per_million"})
	for _, row := range d.Rows {
		if row["consistency"] != nil && row["torn"].(float64) > 0 {
			t.Errorf("words that nobody wrote: %v", row)
		}
		if row["consistency"] == "locked" && row["missed"].(float64)+row["mixed"].(float64) > 0 {
			t.Errorf("a locked scan is not exact: %v", row)
		}
	}
}

func TestChanges(t *testing.T) {
	d := runTiny(t, "changes")
	mustHave(t, d.Rows, []string{"contender", "map", "engine"}, []string{"entries", "changed_percent", "ns_per_row", "bytes_per_scan", "ns_of_full"})
	for _, row := range d.Rows {
		quiet := row["contender"] == modeChanges && row["changed_percent"].(float64)*row["entries"].(float64) < 100
		if bytes := row["bytes_per_scan"].(float64); quiet != (bytes == 0) {
			t.Errorf("%v bytes in %v", bytes, row)
		}
	}
}
