// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"fmt"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

// fillEvents describes a ringbuf in the words of a map: what is in it are bytes,
// and what is published at a time is a frame.
func fillEvents(line *status.Source, t *reader.EventStats) {
	i := &t.Info
	line.MapID, line.MapType, line.Engine, line.EngineReason = i.MapID, i.TypeName, i.Engine, i.EngineReason
	line.Consistency, line.Entries, line.MaxEntries = "", t.Backlog, i.MaxEntries
	line.EffectiveNS, line.Scans, line.DiscardedRows = int64(t.Every), t.Frames, t.Discarded
	if t.LastError != nil {
		line.LastError = t.LastError.Error()
	}
	line.Errors = t.Failures
	line.Events = &status.Events{
		Events: t.Events, Bytes: t.Bytes, BacklogBytes: t.Backlog, Discarded: t.Discarded, TooLarge: t.TooLarge,
		LostBytes: t.LostBytes, ForeignBytes: t.ForeignBytes, Wakes: t.Wakes, Poll: t.Poll, SpunNS: int64(t.Spun),
	}
}

// eventReasons are what is wrong with a ringbuf that is emptied.
func (x *source) eventReasons(t *reader.EventStats) (list []status.Reason) {
	add := func(code status.Code, remedy, format string, args ...any) {
		list = append(list, status.Reason{Code: code, Remedy: remedy, Message: fmt.Sprintf("source %s: ", x.name) + fmt.Sprintf(format, args...)})
	}
	if t.Shared {
		add(status.RingbufShared, reader.SharedRemedy(t.Info.MapID),
			"%v; %d bytes of records went to others so far", reader.ErrShared, t.ForeignBytes)
	}
	if t.TooLarge > 0 {
		need := powerOfTwo(uint64(shm.EventBytes(t.Largest)+shm.HeaderBytes) * framesInRing)
		add(status.EventTooLarge, fmt.Sprintf("set rings[].bytes to at least %s", size64(need)),
			"%d records were left out, the largest of %d bytes: no frame of the ring holds them", t.TooLarge, t.Largest)
	}
	if t.Failing && !t.Shared && t.TooLarge == 0 {
		add(status.SourceFailing, "see the message; it is tried again by itself", "%v", t.LastError)
	}
	if t.Info.PinState == reader.Unpinned {
		add(status.SourceUnpinned, "pin the map again, or take it out of the configuration",
			"%s is no longer there; the ringbuf that was is still read", x.pin)
	}
	return list
}
