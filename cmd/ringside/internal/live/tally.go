// SPDX-License-Identifier: Apache-2.0

package live

import (
	"cmp"
	"errors"
	"maps"
	"sort"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/demo"
	ringside "github.com/ringside-bpf/ringside/clients/go"
)

// tally turns batches into figures. A scan counts when all of it was seen.
type tally struct {
	figures figures
	views   views
	readyNS uint64 // when setting up had ended
	settled bool   // a scan of the system calls has ended since
	startNS uint64
	whole   map[string]bool // sources of which the current scan is whole so far

	own       map[int32]int64 // of the scan that is being read
	processes map[uint32]demo.Process
	before    map[uint32]demo.Process // of the scan before
	beforeNS  uint64
	waits     []demo.LatencyBucket
	list      []process
}

// views are the typed views of the demo's maps; nil where a part was left out.
type views struct {
	calls     *ringside.PerCPURows[demo.SyscallKey, demo.SyscallCount]
	processes *ringside.Rows[demo.ProcessKey, demo.Process]
	waits     *ringside.Rows[uint32, demo.LatencyBucket]
	tcp       *ringside.Rows[demo.TCPChange, demo.TCPChanges]
}

// newTally checks the demo's types against the schemas in the ring.
func newTally(sub *ringside.Subscription) (*tally, error) {
	t := &tally{whole: map[string]bool{}, own: map[int32]int64{}, processes: map[uint32]demo.Process{}, before: map[uint32]demo.Process{}}
	var errs [4]error
	t.views.calls, errs[0] = ringside.PerCPURowsOf[demo.SyscallKey, demo.SyscallCount](sub, demo.Syscalls)
	t.views.processes, errs[1] = ringside.RowsOf[demo.ProcessKey, demo.Process](sub, demo.Processes)
	t.views.waits, errs[2] = ringside.RowsOf[uint32, demo.LatencyBucket](sub, demo.SchedLatency)
	t.views.tcp, errs[3] = ringside.RowsOf[demo.TCPChange, demo.TCPChanges](sub, demo.TCPStates)
	for _, err := range errs {
		if err != nil && !errors.Is(err, ringside.ErrNoSource) {
			return nil, err
		}
	}
	return t, nil
}

// take counts a batch and reports whether figures changed that are worth showing.
func (t *tally) take(b *ringside.Batch) bool {
	f := &t.figures
	switch b.Kind {
	case ringside.KindLost, ringside.KindRestart:
		f.LostRows += b.Lost.Rows
		clear(t.whole)
		return true
	case ringside.KindRows:
	default:
		return false
	}
	if t.startNS == 0 {
		t.startNS = b.TimeNS
	}
	f.Rows += uint64(b.Rows)
	f.Batches++
	f.ElapsedNS = int64(b.TimeNS - t.startNS)
	name := b.Source.Name
	if b.First {
		t.whole[name] = true
		t.begin(name)
	}
	if t.whole[name] {
		t.rows(name, b)
		if b.Last {
			t.end(name, b.TimeNS)
			t.whole[name] = false
		}
	}
	return b.Last
}

func (t *tally) begin(source string) {
	switch source {
	case demo.Syscalls:
		clear(t.own)
	case demo.Processes:
		t.processes, t.before = t.before, t.processes
		clear(t.processes)
	case demo.SchedLatency:
		t.waits = t.waits[:0]
	case demo.TCPStates:
		t.figures.TCPChanges, t.figures.Connections = 0, 0
	}
}

func (t *tally) rows(source string, b *ringside.Batch) {
	switch source {
	case demo.Syscalls:
		t.ownCalls(b)
	case demo.Processes:
		for k, p := range t.views.processes.In(b) {
			t.processes[k.Tgid] = *p
		}
	case demo.SchedLatency:
		for _, w := range t.views.waits.In(b) {
			t.waits = append(t.waits, *w)
		}
	case demo.TCPStates:
		for k, c := range t.views.tcp.In(b) {
			t.figures.TCPChanges += c.Changes
			if k.To == unix.BPF_TCP_ESTABLISHED {
				t.figures.Connections += c.Changes
			}
		}
	}
}

// ownCalls finds the reading thread's own rows in the map that it reads.
func (t *tally) ownCalls(b *ringside.Batch) {
	for k, counts := range t.views.calls.In(b) {
		if k.Tid != uint32(t.figures.TID) {
			continue
		}
		for cpu := range counts.Len() {
			t.own[k.Nr] += int64(counts.On(cpu).Calls)
		}
	}
}

func (t *tally) end(source string, timeNS uint64) {
	switch source {
	case demo.Syscalls:
		t.countCalls(timeNS)
	case demo.Processes:
		t.list = busiest(t.list[:0], t.before, t.processes, float64(timeNS-t.beforeNS)/1e9)
		t.figures.Processes = t.list[:min(len(t.list), 10)]
		t.beforeNS = timeNS
	case demo.SchedLatency:
		t.figures.WaitP50NS, t.figures.WaitP99NS = percentile(t.waits, 50), percentile(t.waits, 99)
	}
}

// countCalls takes over a whole scan of the system calls. The first that counts
// is one that began after setting up had ended: its figures hold all of that.
func (t *tally) countCalls(timeNS uint64) {
	if !t.settled {
		t.settled = timeNS >= t.readyNS
		return
	}
	if t.figures.Scans == 0 {
		t.figures.Before = maps.Clone(t.own)
	}
	if t.figures.Now == nil {
		t.figures.Now = map[int32]int64{}
	}
	clear(t.figures.Now)
	maps.Copy(t.figures.Now, t.own)
	t.figures.Scans++
}

// busiest compares two scans that lie seconds apart, in list's memory: a thread
// on show that asks the kernel for memory all the time would spoil the show.
func busiest(list []process, before, now map[uint32]demo.Process, seconds float64) []process {
	for pid, p := range now {
		old, known := before[pid]
		if !known || p.RuntimeNs < old.RuntimeNs || p.Syscalls < old.Syscalls || seconds <= 0 {
			continue // new, or another process under the same number
		}
		list = append(list, process{PID: pid, Name: p.Name(),
			CPU:      float64(p.RuntimeNs-old.RuntimeNs) / 1e9 / seconds,
			Syscalls: float64(p.Syscalls-old.Syscalls) / seconds})
	}
	sort.Slice(list, func(i, j int) bool { // see status.Judge
		a, b := &list[i], &list[j]
		return cmp.Or(cmp.Compare(b.CPU, a.CPU), cmp.Compare(b.Syscalls, a.Syscalls), cmp.Compare(a.PID, b.PID)) < 0
	})
	return list
}

// percentile is the upper end of the bucket that holds it.
func percentile(buckets []demo.LatencyBucket, p uint64) uint64 {
	var all, seen uint64
	for _, b := range buckets {
		all += b.Wakeups
	}
	for i, b := range buckets {
		if seen += b.Wakeups; seen*100 >= all*p && all > 0 {
			if i+1 < len(buckets) {
				return buckets[i+1].FromNs
			}
			return b.FromNs
		}
	}
	return 0
}
