// SPDX-License-Identifier: Apache-2.0

package status

// SchemaVersion of the document. It changes when a reader of the old one would
// be misled.
const SchemaVersion = 1

// Document is the answer to a status request. Times are nanoseconds, sizes are
// bytes, unless the name says otherwise.
type Document struct {
	SchemaVersion int     `json:"schema_version"`
	Health        Health  `json:"health"`
	Sidecar       Sidecar `json:"sidecar"`
	Rings         []Ring  `json:"rings"`
}

// Health is the judgement on the rest of the document.
type Health struct {
	State   State    `json:"state"`
	Reasons []Reason `json:"reasons"`
}

// Sidecar is the process.
type Sidecar struct {
	Version        string   `json:"version"`
	PID            int      `json:"pid"`
	UptimeSeconds  int64    `json:"uptime_seconds"`
	HeartbeatAgeNS int64    `json:"heartbeat_age_ns"`
	Capabilities   []string `json:"capabilities"`
	// CPUsOnline may be fewer than CPUsPossible: per-CPU values are those of all
	// possible ones; one that is offline keeps what it had counted.
	CPUsPossible int     `json:"cpus_possible"`
	CPUsOnline   int     `json:"cpus_online"` // 0: unknown
	Workers      int     `json:"workers"`
	Duty         float64 `json:"duty"` // share of one CPU spent reading, lately
	Pool         Pool    `json:"pool"`
	// RecursionMisses are the events that BPF programs of others lost since
	// the sidecar started; null if the kernel does not let it look.
	RecursionMisses *uint64 `json:"recursion_misses"`
	Memory          Memory  `json:"memory"`
	Runtime         Runtime `json:"runtime"`
}

// Pool is how the workers are doing. Latencies are those of the last second or
// so in which there was something to read.
type Pool struct {
	WorkersMin  int     `json:"workers_min"`
	WorkersMax  int     `json:"workers_max"`
	Running     int     `json:"running"`     // scans at this moment
	Change      *Change `json:"last_change"` // of their number; null: there was none
	DutyAllowed float64 `json:"duty_allowed"`
	DutyWanted  float64 `json:"duty_wanted"` // what the intervals asked for would take
	Stretch     float64 `json:"stretch"`     // largest factor on an interval, so that allowed is enough
	LateNSP99   int64   `json:"late_ns_p99"` // from due to begun
	CallNSP99   int64   `json:"call_ns_p99"` // single calls that read one element or one batch
	// CallClock is "kernel" if the kernel times those calls, "user" if their
	// caller does; CallClockReason why not the kernel, if it was asked to.
	CallClock       string `json:"call_clock"`
	CallClockReason string `json:"call_clock_reason"`
	SlowCalls       uint64 `json:"slow_calls"`      // longer than 500 us; the kernel alone knows
	LongestCallNS   int64  `json:"longest_call_ns"` // since the start; the kernel alone knows
	CPUs            []int  `json:"cpus"`            // that workers stay on; empty: any
}

// Change is one step of the number of workers.
type Change struct {
	AgeNS  int64  `json:"age_ns"`
	From   int    `json:"from"`
	To     int    `json:"to"`
	Reason string `json:"reason"`
}

// Memory is what the sidecar holds. Rings are shared memory and part of RSS.
type Memory struct {
	RSS     uint64 `json:"rss_bytes"`
	Rings   uint64 `json:"rings_bytes"`
	Scratch uint64 `json:"scratch_bytes"`
	History uint64 `json:"history_bytes"` // rings that were superseded and are still held, and what mode changes keeps to compare with
	Stuck   uint64 `json:"stuck_bytes"`   // of history: calls that do not return may write there
}

// Runtime is what the language runtime adds to latency.
type Runtime struct {
	SchedP99NS   int64 `json:"sched_p99_ns"`
	GCPauseP99NS int64 `json:"gc_pause_p99_ns"`
}

// Ring is one ring as it is now.
type Ring struct {
	Name     string `json:"name"`
	Bytes    uint64 `json:"bytes"`
	Epoch    string `json:"epoch"` // 16 hex digits: JSON numbers end at 53 bits
	Delivery string `json:"delivery"`
	// Its memory lies in huge pages, which makes it faster to write and read.
	HugePages bool `json:"huge_pages"`
	// Of a lossless ring, else 0: how long one consumer may hold it up, how many
	// claims waited for one, for how long any did, and who was given up.
	StallTimeoutNS int64      `json:"stall_timeout_ns"`
	Stalls         uint64     `json:"stalls"`
	StalledNS      int64      `json:"stalled_ns"`
	Evictions      uint64     `json:"evictions"`
	Head           uint64     `json:"head"`
	Frames         uint64     `json:"frames"`
	Rows           uint64     `json:"rows"`
	Sources        []Source   `json:"sources"`
	Consumers      []Consumer `json:"consumers"`
}

// Source is one map, or a pin that should be one.
type Source struct {
	Name          string   `json:"name"`
	Pin           string   `json:"pin"`
	MapID         uint32   `json:"map_id"`
	MapType       string   `json:"map_type"`
	Mode          string   `json:"mode"`
	Consistency   string   `json:"consistency"`
	Engine        string   `json:"engine"`
	EngineReason  string   `json:"engine_reason"`
	KeySize       int      `json:"key_size"`
	ValueSize     int      `json:"value_size"`
	Entries       int      `json:"entries"` // rows of the last scan
	MaxEntries    int      `json:"max_entries"`
	EveryNS       int64    `json:"every_ns"`     // as asked for
	EffectiveNS   int64    `json:"effective_ns"` // as stretched
	CPUNS         int64    `json:"cpu_ns"`       // of one scan, smoothed
	Scans         uint64   `json:"scans"`
	ReadNS        Quantile `json:"read_ns"`
	HoldNSMax     int64    `json:"hold_ns_max"`
	LateNSP99     int64    `json:"late_ns_p99"`
	DiscardedRows uint64   `json:"discarded_rows"`
	Errors        uint64   `json:"errors"`
	LastError     string   `json:"last_error"`
	Lookup        string   `json:"lookup"`  // how single keys are looked up, and why so; mode changes
	Changes       *Changes `json:"changes"` // null: every scan is published in full
	Events        *Events  `json:"events"`  // null: it has rows
}

// Changes is what mode changes has published of a map.
type Changes struct {
	KeyframeEvery int    `json:"keyframe_every"` // scans
	Keyframes     uint64 `json:"keyframes"`
	Scans         uint64 `json:"scans"` // that brought something and were no keyframes
	Quiet         uint64 `json:"quiet"` // that brought nothing
	Rows          uint64 `json:"rows"`  // new and different ones
	Deletes       uint64 `json:"deletes"`
	Confirmed     uint64 `json:"confirmed"` // keys that were missed by two scans, or by a keyframe, and are there
	HistoryBytes  uint64 `json:"history_bytes"`
	Full          string `json:"full"` // why every scan is a keyframe; empty: they are not
}

// Events are what a ringbuf has given. Scans of such a source are frames.
type Events struct {
	Events       uint64 `json:"events"`
	Bytes        uint64 `json:"bytes"`
	BacklogBytes int    `json:"backlog_bytes"` // in the ringbuf, not taken yet
	Discarded    uint64 `json:"discarded"`     // by their own programs
	TooLarge     uint64 `json:"too_large"`     // lost: no frame of the ring holds them
	LostBytes    uint64 `json:"lost_bytes"`    // given up after another reader
	ForeignBytes uint64 `json:"foreign_bytes"` // that another reader has taken
	Wakes        uint64 `json:"wakes"`
	Poll         bool   `json:"poll"`
	SpunNS       int64  `json:"spun_ns"` // waited awake
}

// Quantile sums up durations.
type Quantile struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

// Consumer is one attached reader. Lag and losses are its own word.
type Consumer struct {
	Name            string `json:"name"`
	PID             int32  `json:"pid"`
	UID             uint32 `json:"uid"`
	State           string `json:"state"`
	AttachedSeconds int64  `json:"attached_seconds"`
	LagFrames       uint64 `json:"lag_frames"`
	LagRows         uint64 `json:"lag_rows"`
	LostRows        uint64 `json:"lost_rows"`
	Laps            uint64 `json:"laps"`
	// The sidecar's word, on lossless rings: it is not waited for any more, or has
	// been waited for since so long.
	Evicted bool  `json:"evicted"`
	HoldsNS int64 `json:"holds_ns"`
}

// States of a consumer.
const (
	Reading    = "reading"
	Asleep     = "asleep"     // waits to be rung
	Superseded = "superseded" // still holds a ring that has been replaced
	Evicted    = "evicted"    // did not keep up with a lossless ring, which goes on without it
	Holding    = "holding"    // a lossless ring waits for it
)
