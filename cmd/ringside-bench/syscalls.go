// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/demo"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

// Contenders: what the consumer finds in the ring.
const (
	byReading = "reading" // there is always a next frame
	byWaiting = "waiting" // a scan every 100 ms, and sleep in between
)

// syscallRow is how often one system call was made.
type syscallRow struct {
	Contender  string  `json:"contender"`
	Thread     string  `json:"thread"`
	Syscall    string  `json:"syscall"` // "any" is the sum
	Whose      string  `json:"whose,omitempty"`
	Calls      uint64  `json:"calls"`
	Rows       uint64  `json:"rows"`
	PerMillion float64 `json:"calls_per_million_rows"`
}

const (
	readingThread = "reading"
	otherThreads  = "others"
	anyCall       = "any"
)

func runSyscalls(ctx context.Context, b *bench) (*result, error) {
	r := b.result(
		"A consumer in a process of its own reads on a thread of its own, in a lease. A BPF program on the raw tracepoint sys_enter counts every system call by thread and number; counts and rows are read before and after, from outside, so that measuring makes none.",
		"reading: the ring is filled to three quarters, counted, the consumer told to look at every row of that, counted again; so it always has a next frame, and the calls are those of reading and of being told. waiting: the map is scanned every 100 ms, and the consumer sleeps in between.",
		"Whose: the Go runtime makes calls by itself (preemption by signal, its own locks, timers and poller, memory for its heap); everything else is ours.",
	)
	w, err := b.newWitness()
	if err != nil {
		return nil, err
	}
	c, err := b.newWatched(ctx)
	if err != nil {
		return nil, err
	}
	var rows []syscallRow
	for _, watch := range []func(context.Context, *witness, time.Duration) ([]syscallRow, error){c.reading, c.waiting} {
		more, err := watch(ctx, w, b.lasts/2)
		if err = errors.Join(err, w.complete()); err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	r.Rows = rows
	r.Figures = append(r.Figures, atMost("system calls of ours while reading, a million rows", exactly(oursWhileReading(rows)), 0, ""))
	t := &table.Table{Title: "System calls of a consumer, by the kernel's count", Columns: []table.Column{table.Text("consumer is"), table.Text("thread"),
		table.Text("call"), table.Text("whose"), table.Number("calls"), table.Number("M rows"), table.Number("calls/M rows")}}
	for _, row := range rows {
		t.Add(row.Contender, row.Thread, row.Syscall, row.Whose, table.Count(int64(row.Calls)), table.Figure(float64(row.Rows)/1e6), table.Figure(row.PerMillion))
	}
	r.tables = append(r.tables, t)
	return r, nil
}

// witness counts system calls in the kernel.
type witness struct {
	programs *demo.Demo
	counts   *ebpf.Map
}

func (b *bench) newWitness() (*witness, error) {
	w := &witness{}
	var err error
	if w.programs, err = demo.Load(); err != nil {
		return nil, err
	}
	b.later(w.programs.Close)
	if err := w.programs.Pin(b.home.BPFFS()); err != nil {
		return nil, err
	}
	if w.counts, err = ebpf.LoadPinnedMap(filepath.Join(b.home.BPFFS(), demo.Syscalls), nil); err != nil {
		return nil, fmt.Errorf("the map of system call counts (was it left out on this kernel?): %w", err)
	}
	b.later(w.counts.Close)
	return w, nil
}

// call is a system call by a kind of thread.
type call struct {
	thread string
	nr     int32
}

// look reads the counts of a process.
func (w *witness) look(pid, tid int) (map[call]uint64, error) {
	counts := map[call]uint64{}
	var key demo.SyscallKey
	var perCPU []demo.SyscallCount
	it := w.counts.Iterate()
	for it.Next(&key, &perCPU) {
		if int(key.Tgid) != pid {
			continue
		}
		c := call{otherThreads, key.Nr}
		if int(key.Tid) == tid {
			c.thread = readingThread
		}
		for _, n := range perCPU {
			counts[c] += n.Calls
		}
	}
	return counts, it.Err()
}

// complete reports an error if calls were not counted.
func (w *witness) complete() error {
	missed, err := w.programs.Uncounted()
	if err == nil && missed > 0 {
		err = fmt.Errorf("%d system calls of this machine found the map of counts full: repeat on a quieter one", missed)
	}
	return err
}

// watched is a consumer that is watched, and what it reads.
type watched struct {
	ring   *ring
	source *source
	child  *child
}

// ringOfRows is large, so that the consumer reads long before it has to be told
// again.
const ringOfRows = 128 << 20

func (b *bench) newWatched(ctx context.Context) (*watched, error) {
	x := &watched{}
	f, err := b.fill(subjects()[0])
	if err != nil {
		return nil, err
	}
	if x.ring, err = b.newRing(ringOfRows / 4); err != nil {
		return nil, err
	}
	if x.source, err = b.publish(x.ring, f.pin, reader.Options{}); err != nil {
		return nil, err
	}
	x.child, err = b.startChild(ctx, x.ring)
	return x, err
}

// between says which calls the consumer made while do ran.
func (x *watched) between(w *witness, tid int, do func() error) (map[call]uint64, error) {
	pid := x.child.cmd.Process.Pid
	before, err := w.look(pid, tid)
	if err != nil {
		return nil, err
	}
	if err := do(); err != nil {
		return nil, err
	}
	made, err := w.look(pid, tid)
	for c := range made {
		made[c] -= before[c]
	}
	return made, err
}

// reading fills the ring and lets the consumer read it, again and again.
func (x *watched) reading(ctx context.Context, w *witness, lasts time.Duration) ([]syscallRow, error) {
	tid, err := x.child.tell(ctx, sayHold)
	if err != nil {
		return nil, err
	}
	total, made := uint64(0), map[call]uint64{}
	// The first time does not count: stacks grow, and pages are mapped.
	for first, start := true, time.Now(); first || total == 0 || time.Since(start) < lasts; first = false {
		rows, err := x.supply(ctx)
		if err != nil {
			return nil, err
		}
		calls, err := x.between(w, tid, func() error {
			_, err := x.child.tell(ctx, fmt.Sprint(sayRead, " ", rows))
			return err
		})
		if err != nil {
			return nil, err
		}
		if first {
			continue
		}
		total += uint64(rows)
		for c, n := range calls {
			made[c] += n
		}
	}
	_, err = x.child.tell(ctx, sayDetach)
	return callRows(byReading, made, total), err
}

// supply publishes three quarters of a ring and says how many rows that is. The
// frames are those of an earlier round once more: the bytes are still there.
func (x *watched) supply(ctx context.Context) (rows int, err error) {
	const batch, rowBytes = 1024, keyBytes + valueBytes
	content := shm.Content{Kind: shm.KindRows, Rows: batch, Bytes: batch * rowBytes,
		KeyStride: keyBytes, ValuesOffset: batch * keyBytes, ValueStride: valueBytes}
	size := int(x.ring.Geometry().DataBytes) / 4 * 3
	for published := 0; published < size; published += content.Bytes + shm.HeaderBytes {
		if _, err := x.source.into.Claim(ctx, content.Bytes, content.Bytes); err != nil {
			return rows, err
		}
		x.source.into.Producer.Commit(content)
		rows += batch
	}
	x.ring.Beat()
	return rows, nil
}

// waiting publishes a scan with every heartbeat to a consumer that sleeps in between.
func (x *watched) waiting(ctx context.Context, w *witness, lasts time.Duration) ([]syscallRow, error) {
	tid, err := x.child.tell(ctx, sayAttach)
	if err != nil {
		return nil, err
	}
	if _, err := x.source.Scan(ctx, x.source.into); err != nil { // it settles down
		return nil, err
	}
	before := x.ring.Totals().Rows
	calls, err := x.between(w, tid, func() error { return x.scanNowAndThen(ctx, time.Now().Add(lasts)) })
	if err != nil {
		return nil, err
	}
	_, err = x.child.tell(ctx, sayDetach)
	return callRows(byWaiting, calls, x.ring.Totals().Rows-before), err
}

func (x *watched) scanNowAndThen(ctx context.Context, until time.Time) error {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		x.ring.Beat()
		if _, err := x.source.Scan(ctx, x.source.into); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if time.Now().After(until) {
			return nil
		}
	}
}
