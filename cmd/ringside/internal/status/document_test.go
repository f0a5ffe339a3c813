// SPDX-License-Identifier: Apache-2.0

package status

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// contract is every field that scripts may rely on, and nothing else.
const contract = `schema_version
health.state
health.reasons[].code
health.reasons[].message
health.reasons[].remedy
sidecar.version
sidecar.pid
sidecar.uptime_seconds
sidecar.heartbeat_age_ns
sidecar.capabilities[]
sidecar.cpus_possible
sidecar.cpus_online
sidecar.workers
sidecar.duty
sidecar.pool.workers_min
sidecar.pool.workers_max
sidecar.pool.running
sidecar.pool.last_change.age_ns
sidecar.pool.last_change.from
sidecar.pool.last_change.to
sidecar.pool.last_change.reason
sidecar.pool.duty_allowed
sidecar.pool.duty_wanted
sidecar.pool.stretch
sidecar.pool.late_ns_p99
sidecar.pool.call_ns_p99
sidecar.pool.call_clock
sidecar.pool.call_clock_reason
sidecar.pool.slow_calls
sidecar.pool.longest_call_ns
sidecar.pool.cpus[]
sidecar.recursion_misses
sidecar.memory.rss_bytes
sidecar.memory.rings_bytes
sidecar.memory.scratch_bytes
sidecar.memory.history_bytes
sidecar.memory.stuck_bytes
sidecar.runtime.sched_p99_ns
sidecar.runtime.gc_pause_p99_ns
rings[].name
rings[].bytes
rings[].epoch
rings[].delivery
rings[].huge_pages
rings[].stall_timeout_ns
rings[].stalls
rings[].stalled_ns
rings[].evictions
rings[].head
rings[].frames
rings[].rows
rings[].sources[].name
rings[].sources[].pin
rings[].sources[].map_id
rings[].sources[].map_type
rings[].sources[].mode
rings[].sources[].consistency
rings[].sources[].engine
rings[].sources[].engine_reason
rings[].sources[].key_size
rings[].sources[].value_size
rings[].sources[].entries
rings[].sources[].max_entries
rings[].sources[].every_ns
rings[].sources[].effective_ns
rings[].sources[].cpu_ns
rings[].sources[].scans
rings[].sources[].read_ns.p50
rings[].sources[].read_ns.p99
rings[].sources[].read_ns.max
rings[].sources[].hold_ns_max
rings[].sources[].late_ns_p99
rings[].sources[].discarded_rows
rings[].sources[].errors
rings[].sources[].last_error
rings[].sources[].lookup
rings[].sources[].changes.keyframe_every
rings[].sources[].changes.keyframes
rings[].sources[].changes.scans
rings[].sources[].changes.quiet
rings[].sources[].changes.rows
rings[].sources[].changes.deletes
rings[].sources[].changes.confirmed
rings[].sources[].changes.history_bytes
rings[].sources[].changes.full
rings[].sources[].events.events
rings[].sources[].events.bytes
rings[].sources[].events.backlog_bytes
rings[].sources[].events.discarded
rings[].sources[].events.too_large
rings[].sources[].events.lost_bytes
rings[].sources[].events.foreign_bytes
rings[].sources[].events.wakes
rings[].sources[].events.poll
rings[].sources[].events.spun_ns
rings[].consumers[].name
rings[].consumers[].pid
rings[].consumers[].uid
rings[].consumers[].state
rings[].consumers[].attached_seconds
rings[].consumers[].lag_frames
rings[].consumers[].lag_rows
rings[].consumers[].lost_rows
rings[].consumers[].laps
rings[].consumers[].evicted
rings[].consumers[].holds_ns`

// sample has one of everything.
func sample() *Document {
	misses := uint64(1234)
	return &Document{
		SchemaVersion: SchemaVersion,
		Health:        Judge(Facts{Readable: 1}, []Reason{{SourceMissing, "source flows: /p/flows: nothing is pinned there", "nearest: /p/flow"}}),
		Sidecar: Sidecar{Version: "v1.2.3", PID: 42, UptimeSeconds: 3723, Capabilities: []string{"cap_bpf"}, Workers: 2, Duty: 0.034,
			Pool: Pool{WorkersMin: 2, WorkersMax: 8, DutyAllowed: 0.2, DutyWanted: 0.5, Stretch: 2.5, CallClock: "user", CPUs: []int{1},
				LateNSP99: 20_390_000, CallNSP99: 250_000, Change: &Change{AgeNS: 61e9, From: 2, To: 4, Reason: "work waited"}},
			RecursionMisses: &misses, Memory: Memory{RSS: 30 << 20, Rings: 16 << 20, Scratch: 96 << 10, History: 1 << 20, Stuck: 512 << 10}},
		Rings: []Ring{{
			Name: "main", Bytes: 16 << 20, Epoch: "00000000000000ff", Delivery: "lossy", Frames: 12345, Rows: 9876543,
			Sources: []Source{
				{Name: "stats", Pin: "/p/stats", MapID: 7, MapType: "hash", Mode: "full", Engine: "batch", Entries: 21, MaxEntries: 65536, EveryNS: 1e8, Scans: 1500,
					ReadNS: Quantile{114_694, 1_656_900, 2_345_678_901}, HoldNSMax: 950, LateNSP99: 20_390_000, Changes: new(Changes), Events: new(Events)},
				{Name: "flows", Pin: "/p/flows", Mode: "changes", EveryNS: 1e9, Changes: new(Changes), Events: new(Events)},
			},
			Consumers: []Consumer{{Name: "evil\x1b[2J\nname", PID: 99, UID: 1000, State: Asleep, AttachedSeconds: 61, LagRows: 1000}},
		}},
	}
}

func TestDocumentIsTheContract(t *testing.T) {
	text, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	leaves(tree, "", got)
	want := strings.Split(contract, "\n")
	for _, w := range want {
		if !got[w] {
			t.Errorf("missing: %s", w)
		}
		delete(got, w)
	}
	for g := range got {
		t.Errorf("not in the contract: %s", g)
	}
}

// leaves collects the paths of all values.
func leaves(v any, path string, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			leaves(x, strings.TrimPrefix(path+"."+k, "."), into)
		}
	case []any:
		for _, x := range v {
			leaves(x, path+"[]", into)
		}
	default:
		into[path] = true
	}
}

// TestEmptyListsAreLists: null would break every script that iterates.
func TestEmptyListsAreLists(t *testing.T) {
	text, err := json.Marshal(Judge(Facts{}, nil))
	if err != nil || string(text) != `{"state":"ok","reasons":[]}` {
		t.Fatalf("%s, %v", text, err)
	}
}

func TestJudge(t *testing.T) {
	missing, late := Reason{Code: SourceMissing}, Reason{Code: SourceLate}
	for _, tt := range []struct {
		name    string
		facts   Facts
		reasons []Reason
		want    State
	}{
		{"all is well", Facts{Readable: 2}, nil, OK},
		{"nobody attached", Facts{Readable: 2, Idle: true}, nil, Idle},
		{"one missing", Facts{Readable: 1}, []Reason{missing}, Degraded},
		{"one missing, nobody attached", Facts{Readable: 1, Idle: true}, []Reason{missing}, Degraded},
		{"all missing", Facts{}, []Reason{missing}, Failed},
		{"a pattern that matches nothing yet", Facts{}, nil, OK},
		{"late", Facts{Readable: 1}, []Reason{late}, Degraded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := Judge(tt.facts, tt.reasons)
			if h.State != tt.want || h.State.Healthy() != (tt.want == OK || tt.want == Idle) {
				t.Fatalf("got %s, want %s", h.State, tt.want)
			}
		})
	}
}

func TestReasonsHaveOneOrder(t *testing.T) {
	a, b, c := Reason{SourceLate, "a", ""}, Reason{SourceLate, "b", ""}, Reason{SourceMissing, "a", ""}
	h := Judge(Facts{}, []Reason{c, b, a})
	if !slices.Equal(h.Reasons, []Reason{a, b, c}) {
		t.Fatal(h.Reasons)
	}
}
