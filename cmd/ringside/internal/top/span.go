// SPDX-License-Identifier: Apache-2.0

package top

import "time"

// Span is what lies between two snapshots. Times are ns of CLOCK_MONOTONIC.
type Span struct {
	From, To uint64 // when the sidecar read them
	Scans    uint64 // from the first to the second
	Changes  bool   // scans without news are not published
	Looked   uint64 // when the first was still what the map held; 0: unknown
}

// Seconds is the time in which what differs has grown. Of a map that is published
// by its changes, the first snapshot may be from long ago and have been right until
// just now: what differs is then of the scans since.
func (s Span) Seconds() float64 {
	from := s.From
	if s.Changes && s.Scans > 0 && s.Looked != 0 {
		// The scan that the look showed was about so old, and another one than the last.
		scan := (s.To - s.From) / s.Scans
		from = min(max(from, s.Looked-min(scan, s.Looked)), s.To-scan)
	}
	return time.Duration(s.To - from).Seconds()
}
