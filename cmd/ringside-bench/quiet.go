// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/shm"
)

// quietRow is so many consumers of a ring into which nothing comes.
type quietRow struct {
	Contender string  `json:"contender"`
	Consumers int     `json:"consumers"`
	Beats     int     `json:"heartbeats"`
	Seconds   float64 `json:"seconds"`
	Wakes     uint64  `json:"wake_ups"`           // of the threads that wait, of all consumers
	Beyond    uint64  `json:"wake_ups_by_others"` // more than the looks that a consumer takes by itself
	PerSecond float64 `json:"wake_ups_per_consumer_and_second"`
	Switches  uint64  `json:"switches_of_all_threads"`
}

func runQuiet(ctx context.Context, b *bench) (*result, error) { return b.quiet(ctx, 64) }

func (b *bench) quiet(ctx context.Context, consumers int) (*result, error) {
	r := b.result(
		fmt.Sprintf("%d consumers, processes of their own, are attached and asleep; nothing is published, only the heartbeat goes on ten times a second. Counted are the voluntary context switches of the threads that wait for the ring (/proc/PID/task/TID/status): whoever was woken has to go to sleep again.", consumers),
		"A sleeping consumer looks for itself, once a second, whether the sidecar lives (docs/protocol.md). What is more than that, of any consumer, was somebody else: 'by others', of which there should be none.",
		"'all threads' counts the rest of the process, too: where the consumer is a Go program, its runtime looks after itself for some ms after every look.",
	)
	ring, err := b.newRing(0)
	if err != nil {
		return nil, err
	}
	if _, err := ring.AddSource(shm.SourceInfo{Name: "quiet", KeySize: keyBytes, ValueSize: valueBytes}); err != nil {
		return nil, err
	}
	list := make([]*child, consumers)
	for i := range list {
		if list[i], err = b.startChild(ctx, ring); err != nil {
			return nil, err
		}
	}
	threads := make([]int, consumers)
	for i, c := range list {
		if threads[i], err = c.tell(ctx, sayAttach); err != nil {
			return nil, err
		}
	}
	row, err := b.countSwitches(ctx, ring, list, threads)
	if err != nil {
		return nil, err
	}
	r.Rows = []quietRow{row}
	t := &table.Table{Title: "Wake-ups while nothing happens", Columns: []table.Column{table.Number("consumers"), table.Number("seconds"), table.Number("heartbeats"),
		table.Number("wake-ups"), table.Number("of one a second"), table.Number("by others"), table.Number("switches, all threads")}}
	t.Add(table.Count(int64(row.Consumers)), table.Figure(row.Seconds), table.Count(int64(row.Beats)), table.Count(int64(row.Wakes)), table.Figure(row.PerSecond),
		table.Count(int64(row.Beyond)), table.Count(int64(row.Switches)))
	r.tables = append(r.tables, t)
	r.Figures = append(r.Figures, atMost(fmt.Sprintf("wake-ups of %d sleeping consumers by a quiet ring", consumers), exactly(float64(row.Beyond)), 0, ""))
	return r, nil
}

func (b *bench) countSwitches(ctx context.Context, ring *ring, list []*child, threads []int) (row quietRow, err error) {
	row = quietRow{Contender: "sleeping", Consumers: len(list)}
	if _, err := beats(ctx, ring, time.Second/2); err != nil { // everybody falls asleep
		return row, err
	}
	start := time.Now()
	own, all, err := switchesOf(list, threads)
	if err != nil {
		return row, err
	}
	if row.Beats, err = beats(ctx, ring, b.lasts); err != nil {
		return row, err
	}
	ownAfter, allAfter, err := switchesOf(list, threads)
	if err != nil {
		return row, err
	}
	row.Seconds = time.Since(start).Seconds()
	looks := uint64(row.Seconds) + 1
	for i := range list {
		n := ownAfter[i] - own[i]
		row.Wakes += n
		row.Beyond += n - min(n, looks)
		row.Switches += allAfter[i] - min(all[i], allAfter[i]) // a thread may have ended
	}
	row.PerSecond = float64(row.Wakes) / row.Seconds / float64(len(list))
	return row, nil
}

// beats is a sidecar that has nothing to publish, for so long.
func beats(ctx context.Context, ring *ring, lasts time.Duration) (n int, err error) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < lasts; n++ {
		ring.Beat()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
	return n, nil
}

// switchesOf is how often each consumer's waiting thread went to sleep, and how
// often all of its threads did.
func switchesOf(list []*child, threads []int) (own, all []uint64, err error) {
	own, all = make([]uint64, len(list)), make([]uint64, len(list))
	for i, c := range list {
		tasks := fmt.Sprintf("/proc/%d/task/", c.cmd.Process.Pid)
		if own[i], err = switches(fmt.Sprintf("%s%d/status", tasks, threads[i])); err != nil {
			return nil, nil, err
		}
		paths, err := filepath.Glob(tasks + "*/status")
		if err != nil {
			return nil, nil, err
		}
		for _, path := range paths {
			if n, err := switches(path); err == nil { // or it has ended
				all[i] += n
			}
		}
	}
	return own, all, nil
}

// switches is how often a thread went to sleep.
func switches(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "\nvoluntary_ctxt_switches:")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}
