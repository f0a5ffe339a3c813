// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"fmt"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/changes"
	"github.com/ringside-bpf/ringside/shm"
)

// keyframeShare of a ring is what a keyframe may take: a consumer that begins to
// read one needs as much time again before it is lapped.
const keyframeShare = 2

// newStage makes what stands between a source and its ring in mode changes; nil
// in the others.
func (s *Sidecar) newStage(x *source, opened input) (*changes.Stage, error) {
	if x.want.Mode != config.Changes {
		return nil, nil
	}
	info := opened.Info()
	return changes.New(x.dst, &info, changes.Options{KeyframeEvery: x.want.KeyframeEvery, Budget: s.history})
}

func closeStage(stage *changes.Stage) error {
	if stage == nil {
		return nil
	}
	return stage.Close()
}

// letGo gives the memory of a source's stage back, when nothing reads the source
// any more. The caller holds the mutex.
func (s *source) letGo() error {
	stage := s.stage
	s.stage = nil
	return closeStage(stage)
}

// destination is where scans of the source go.
func (s *source) destination() reader.Destination {
	if s.stage != nil {
		return s.stage
	}
	return s.dst
}

// wantKeyframe makes one of the next scans a keyframe. In mode full all are.
func (s *source) wantKeyframe() {
	if s.stage != nil {
		s.stage.Want()
	}
}

// suits refuses a ring in which nobody could be sure to find a keyframe whole.
func (s *source) suits(i *reader.Info, ringBytes uint64) error {
	if need := keyframeShare * scanBytes(i); s.want.Mode == config.Changes && ringBytes != 0 && need > powerOfTwo(ringBytes) {
		return fmt.Errorf("%s: %w: a keyframe of %d rows of %d + %d bytes, each aligned to 8, is %s, which may be half a ring of mode changes, and the ring has %s; "+
			"set --ring-bytes (rings[].bytes) to at least %s, or leave it out",
			i.Pin, shm.ErrTooLarge, i.MaxEntries, i.KeySize, i.ValueSize, size64(scanBytes(i)), size64(powerOfTwo(ringBytes)), size64(powerOfTwo(need)))
	}
	return nil
}

// attend looks for keyframes that consumers ask for. It is not the heart's
// task: here the mutex is taken, and a heart must not wait.
func (s *Sidecar) attend(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.grant()
		case <-ctx.Done():
			return
		}
	}
}

func (s *Sidecar) grant() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.leases {
		number, asked := l.Consumer.TakeAsk()
		if !asked {
			continue
		}
		for _, r := range s.rings {
			e := r.current.Load()
			if e == nil || e.publisher != l.Publisher {
				continue // the consumer of an old ring attaches again, and finds one
			}
			for _, x := range r.sources {
				if x.producer != nil && (number == shm.AnySource || number == x.producer.Number()) {
					x.wantKeyframe()
				}
			}
		}
	}
}

// describe adds what mode changes does to a source's line.
func (s *source) describe(line *status.Source) {
	if s.stage == nil {
		return
	}
	t := s.stage.Stats()
	line.Changes = &status.Changes{
		KeyframeEvery: s.want.KeyframeEvery, Keyframes: t.Keyframes, Scans: t.Changes, Quiet: t.Quiet,
		Rows: t.ChangedRows, Deletes: t.DeletedRows, Confirmed: t.Confirmed,
		HistoryBytes: uint64(t.HistoryBytes), Full: t.Full,
	}
}

// historyReasons tell that a map is published in full, though changes were
// asked for.
func (s *source) historyReasons() []status.Reason {
	if s.stage == nil {
		return nil
	}
	full := s.stage.Stats().Full
	if full == "" {
		return nil
	}
	return []status.Reason{{
		Code: status.HistoryFull, Remedy: "raise reader.history, or read the map in mode full",
		Message: fmt.Sprintf("source %s: every scan is published in full: %s", s.name, full),
	}}
}
