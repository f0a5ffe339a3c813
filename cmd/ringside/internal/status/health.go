// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"sort"
)

// State is one word for all.
type State string

// The states. OK and Idle are healthy.
const (
	OK       State = "ok"
	Idle     State = "idle"     // nobody is attached, so nothing is read
	Degraded State = "degraded" // something does not work, something does
	Failed   State = "failed"   // nothing can be read
)

// Healthy tells whether `status` exits with 0.
func (s State) Healthy() bool { return s == OK || s == Idle }

// Code names a reason for ever; docs/operations.md lists them.
type Code string

// The codes.
const (
	SourceMissing     Code = "source_missing"
	SourceDenied      Code = "source_denied"
	SourceNotMap      Code = "source_not_map"
	SourceUnsupported Code = "source_unsupported"
	SourceTooLarge    Code = "source_too_large"
	SourceUnreadable  Code = "source_unreadable"
	SourceFailing     Code = "source_failing"
	SourceUnpinned    Code = "source_unpinned"
	SourceLate        Code = "source_late"
	RingbufShared     Code = "ringbuf_shared"
	EventTooLarge     Code = "event_too_large"
	DutyExceeded      Code = "duty_exceeded"
	CPUsRefused       Code = "cpus_refused"
	RingSmall         Code = "ring_small"
	RingStalled       Code = "ring_stalled"
	RingHeld          Code = "ring_held"
	ConsumerEvicted   Code = "consumer_evicted"
	HeartbeatLate     Code = "heartbeat_late"
	HistoryFull       Code = "history_full"
)

// Reason is one thing that is wrong.
type Reason struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
}

// Facts is what a judgement needs beside the reasons.
type Facts struct {
	Idle     bool // nothing is read because nobody is attached
	Readable int  // sources that are read, or would be if somebody were attached
}

// Judge sums reasons up. They are put in an order that does not jump about
// between two looks.
func Judge(f Facts, reasons []Reason) Health {
	// Not by package slices, whose sort is compiled anew for every type, 10 kB each.
	sort.SliceStable(reasons, func(i, j int) bool {
		a, b := &reasons[i], &reasons[j]
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message)) < 0
	})
	h := Health{State: OK, Reasons: reasons}
	if reasons == nil {
		h.Reasons = []Reason{} // a list in JSON, too
	}
	switch {
	case f.Readable == 0 && len(reasons) > 0:
		h.State = Failed
	case len(reasons) > 0:
		h.State = Degraded
	case f.Idle:
		h.State = Idle
	}
	return h
}
