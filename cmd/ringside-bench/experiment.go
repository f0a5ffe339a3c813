// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	defaultEntries = 65536
	largeEntries   = 1_000_000 // where --entries does not say otherwise
	minEntries     = 64
	maxEntries     = 4 << 20 // what fits the largest ring four times over
)

// options are the flags of an experiment.
type options struct {
	entries int
	lasts   time.Duration // about how long to measure
	large   int           // entries of large maps; 0: leave them out
	short   bool          // as few rounds as can be
	pass    time.Duration // how long one pass should be at least
}

// experiment answers one question.
type experiment struct {
	name, question string
	lasts, short   time.Duration
	run            func(context.Context, *bench) (*result, error)
}

func experiments() []experiment {
	return []experiment{
		{"maptypes", "how fast each type of map reaches a consumer's hands", 42 * time.Second, 7 * time.Second, runMaptypes},
		{"overhead", "where the time of one lookup goes", 10 * time.Second, time.Second, runOverhead},
		{"causes", "what makes a map slow to read", 30 * time.Second, 3 * time.Second, runCauses},
		{"disturb", "whether other tracing tools lose events", 12 * time.Second, 4 * time.Second, runDisturb},
		{"churn", "how exact a scan is while the map changes", 24 * time.Second, 3 * time.Second, runChurn},
		{"ring", "what publishing into the ring adds to reading a map", 32 * time.Second, 4 * time.Second, runRing},
		{"changes", "what publishing only what changed costs and saves", time.Minute, 4 * time.Second, runChanges},
		{"rows", "what a consumer pays for a row", 8 * time.Second, time.Second, runRows},
		{"sleepers", "what sleeping readers cost the publisher", 3 * time.Minute, 10 * time.Second, runSleepers},
		{"fanout", "what many readers cost", 5 * time.Minute, 12 * time.Second, runFanout},
		{"syscalls", "which system calls a reading consumer makes", 8 * time.Second, 2 * time.Second, runSyscalls},
		{"latency", "how late a consumer sees an event", time.Minute, 4 * time.Second, runLatency},
		{"quiet", "whom a ring wakes into which nothing comes", 10 * time.Second, 4 * time.Second, runQuiet},
		{"restart", "how soon consumers have rows again after a restart", 8 * time.Second, 3 * time.Second, runRestart},
		{"soak", "whether it stays as it is", 30 * time.Second, 6 * time.Second, runSoak},
		{"clients", "what a row costs in each language", 40 * time.Second, 8 * time.Second, runClients},
		{"table", "what a table costs that is kept from the stream", 30 * time.Second, 3 * time.Second, runTables},
		{"memory", "what page faults and the garbage collector cost", 8 * time.Second, 2 * time.Second, runMemory},
		{"footprint", "how large the sidecar is, on disk and in memory", 4 * time.Second, time.Second, runFootprint},
	}
}

// runOne makes one experiment and prints it.
func runOne(ctx context.Context, e experiment, o options, output string, stdout, stderr io.Writer) error {
	r, err := measure(ctx, e, o, stderr)
	if err != nil {
		return err
	}
	if output == outputJSON {
		return r.json(stdout)
	}
	return r.print(stdout)
}

func measure(ctx context.Context, e experiment, o options, stderr io.Writer) (*result, error) {
	b, err := newBench(e.name, o, stderr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.name, err)
	}
	r, err := e.run(ctx, b)
	if err = errors.Join(err, b.close()); err != nil {
		return nil, fmt.Errorf("%s: %w", e.name, err)
	}
	r.command = o.command(e.name)
	return r, nil
}

// command repeats an experiment.
func (o options) command(name string) string {
	if o.entries == defaultEntries && o.large > 0 {
		return fmt.Sprintf("ringside-bench %s --for %v", name, o.lasts)
	}
	return fmt.Sprintf("ringside-bench %s --entries %d --for %v", name, o.entries, o.lasts)
}
