// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm/handoff"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// Status describes the rings that the peer may attach to. To be asked changes
// nothing: no lease, no scan, no counter.
func (s *Sidecar) Status(peer handoff.Peer) ([]byte, error) {
	process := s.process() // reads /proc and BPF programs: without the mutex
	s.mu.Lock()
	visible := s.allowed(peer)
	if len(visible) == 0 {
		defer s.mu.Unlock()
		return nil, handoff.Refuse(syscall.EACCES, "uid %d may not see the status: it may not attach to any ring; start 'ringside serve' with --allow-uid %d", peer.UID, peer.UID)
	}
	doc := s.document(process, visible)
	s.mu.Unlock()
	return json.Marshal(doc)
}

// document gathers what the mutex guards. The caller holds it.
func (s *Sidecar) document(process status.Sidecar, visible []string) *status.Document {
	doc := &status.Document{SchemaVersion: status.SchemaVersion, Sidecar: process, Rings: []status.Ring{}}
	doc.Sidecar.Memory.History = uint64(s.history.Used())
	pool := s.pool.Stats()
	doc.Sidecar.Workers, doc.Sidecar.Duty, doc.Sidecar.Pool = pool.Workers, s.duty.share(), poolLine(&pool)
	facts := status.Facts{Idle: true}
	reasons := s.processReasons(&doc.Sidecar, pool)
	for _, r := range slices.Concat(s.rings, s.leaving) {
		for _, e := range slices.Concat(r.old, r.stuck) {
			doc.Sidecar.Memory.History += e.publisher.Geometry().TotalBytes
		}
		_, stuck := r.stuckMemory()
		doc.Sidecar.Memory.Stuck += stuck
	}
	for _, r := range s.rings {
		doc.Sidecar.Memory.Rings += r.current.Load().publisher.Geometry().TotalBytes
		if !slices.Contains(visible, r.config.Name) {
			continue
		}
		facts.Idle = facts.Idle && !r.active
		line := s.ringLine(r)
		for _, x := range r.sources {
			var t reader.TaskStats
			if x.stream != nil {
				facts.Readable++
			}
			if x.task != nil {
				t = x.task.Stats()
				facts.Readable++
				doc.Sidecar.Memory.Scratch += uint64(t.Last.ScratchBytes)
			}
			src, why := x.line(&t, line.Bytes)
			line.Sources = append(line.Sources, src)
			reasons = append(reasons, why...)
		}
		reasons = append(reasons, s.patternReasons(r)...)
		reasons = append(reasons, memberReasons(&line)...)
		reasons = append(reasons, r.stallReasons(r.current.Load().openFor())...)
		doc.Rings = append(doc.Rings, line)
	}
	doc.Health = status.Judge(facts, reasons)
	return doc
}

func poolLine(p *reader.PoolStats) status.Pool {
	l := &p.Latency
	line := status.Pool{
		WorkersMin: p.WorkersMin, WorkersMax: p.WorkersMax, Running: p.Running,
		DutyAllowed: p.Duty, DutyWanted: p.Demand, Stretch: p.Stretch,
		LateNSP99: int64(l.LateP99), CallNSP99: int64(l.CallP99), CallClock: "user",
		SlowCalls: l.Slow, LongestCallNS: int64(l.Longest.Took), CPUs: append([]int{}, p.CPUs...),
	}
	if l.Kernel {
		line.CallClock = "kernel"
	}
	if l.KernelError != nil {
		line.CallClockReason = l.KernelError.Error()
	}
	if c := p.Change; !c.At.IsZero() {
		line.Change = &status.Change{AgeNS: int64(time.Since(c.At)), From: c.From, To: c.To, Reason: c.Reason}
	}
	return line
}

// process describes this process. It needs no mutex.
func (s *Sidecar) process() status.Sidecar {
	possible, online := cpuCounts()
	return status.Sidecar{
		CPUsPossible: possible, CPUsOnline: online,
		Version: s.version, PID: os.Getpid(), UptimeSeconds: int64(time.Since(s.started).Seconds()),
		HeartbeatAgeNS: int64(monotonic.Now()) - s.beat.Load(), Capabilities: capabilities(),
		RecursionMisses: s.misses.sinceStart(), Memory: status.Memory{RSS: residentBytes()}, Runtime: runtimeLatency(),
	}
}

func (s *Sidecar) ringLine(r *ring) status.Ring {
	p := r.current.Load().publisher
	g, t := p.Geometry(), p.Totals()
	line := status.Ring{
		Name: g.Name, Bytes: g.DataBytes, Epoch: fmt.Sprintf("%016x", g.Epoch), Delivery: "lossy", HugePages: p.HugePages(),
		Head: t.Head, Frames: t.Frames, Rows: t.Rows, Sources: []status.Source{}, Consumers: []status.Consumer{},
	}
	if g.Lossless {
		d := p.Delivery()
		line.Delivery, line.StallTimeoutNS = "lossless", int64(r.config.StallTimeout)
		line.Stalls, line.StalledNS, line.Evictions = d.Stalls, int64(d.StalledNS), d.Evictions
	}
	var leases []*handoff.Lease
	for l := range s.leases {
		if l.Ring == g.Name {
			leases = append(leases, l)
		}
	}
	slices.SortFunc(leases, func(a, b *handoff.Lease) int {
		return cmp.Or(a.AttachedAt.Compare(b.AttachedAt), cmp.Compare(a.Name, b.Name))
	})
	for _, l := range leases {
		line.Consumers = append(line.Consumers, consumerLine(l, l.Publisher == r.current.Load().publisher))
	}
	return line
}

func consumerLine(l *handoff.Lease, current bool) status.Consumer {
	c := l.Consumer.Stats()
	line := status.Consumer{
		Name: l.Name, PID: l.Peer.PID, UID: l.Peer.UID, State: status.Reading, AttachedSeconds: int64(time.Since(l.AttachedAt).Seconds()),
		LagFrames: c.LagFrames, LagRows: c.LagRows, LostRows: c.LostRows, Laps: c.Laps,
		Evicted: c.Evicted, HoldsNS: int64(c.HoldsNS),
	}
	switch {
	case !current:
		line.State = status.Superseded
	case c.Evicted:
		line.State = status.Evicted
	case c.HoldsNS > 0:
		line.State = status.Holding
	case c.Asleep:
		line.State = status.Asleep
	}
	return line
}

// line describes a source, and what is wrong with it.
func (x *source) line(t *reader.TaskStats, ringBytes uint64) (status.Source, []status.Reason) {
	line := status.Source{Name: x.name, Pin: x.pin, Mode: x.want.Mode, Consistency: x.want.Consistency, EveryNS: int64(x.want.Every)}
	switch {
	case x.task != nil:
		fill(&line, t)
		x.describe(&line)
		return line, append(x.reasons(t, ringBytes), x.historyReasons()...)
	case x.stream != nil:
		stats := x.stream.events.Stats()
		fillEvents(&line, &stats)
		return line, x.eventReasons(&stats)
	case x.problem != nil:
		line.LastError = x.problem.Error()
		return line, []status.Reason{reasonOf(x.name, x.problem)}
	}
	return line, nil // just being opened
}

func fill(line *status.Source, t *reader.TaskStats) {
	i := &t.Info
	line.MapID, line.MapType, line.Engine, line.EngineReason = i.MapID, i.TypeName, i.Engine, i.EngineReason
	line.Consistency, line.KeySize, line.ValueSize, line.MaxEntries = string(i.Consistency), i.KeySize, i.ValueSize, i.MaxEntries
	line.Entries, line.Scans, line.Errors, line.DiscardedRows = t.Last.Rows, t.Scans, t.Errors, t.Discarded
	line.ReadNS = status.Quantile{P50: int64(t.ReadP50), P99: int64(t.ReadP99), Max: int64(t.ReadMax)}
	line.EffectiveNS, line.CPUNS = int64(t.Effective), int64(t.CPU)
	line.HoldNSMax, line.LateNSP99 = int64(t.HoldMax), int64(t.LateP99)
	line.Lookup = i.Lookup
	if t.LastError != nil {
		line.LastError = t.LastError.Error()
	}
}
