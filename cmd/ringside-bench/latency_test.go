// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// TestWithSidecar makes the experiments that need a sidecar, with one that is
// built for the purpose.
func TestWithSidecar(t *testing.T) {
	bpftest.RequireRoot(t)
	path := filepath.Join(t.TempDir(), "ringside")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../ringside").CombinedOutput(); err != nil {
		t.Fatalf("build a sidecar: %v\n%s", err, out)
	}
	t.Run("latency", func(t *testing.T) { testLatency(t, path) })
	t.Run("restart", func(t *testing.T) { testRestart(t, path) })
	t.Run("soak", func(t *testing.T) { testSoak(t, path) })
}

// testWith makes one, and prints it.
func testWith(t *testing.T, name string, run func(*bench) (*result, error)) document {
	t.Helper()
	b, err := newBench(name, tiny, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	r, err := run(b)
	if e := b.close(); err == nil {
		err = e
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := r.print(t.Output()); err != nil {
		t.Error(err)
	}
	return asJSON(t, r)
}

func testLatency(t *testing.T, path string) {
	d := testWith(t, "latency", func(b *bench) (*result, error) {
		return b.latency(t.Context(), path, latencyPlan{time.Millisecond, 20, 5 * time.Millisecond})
	})
	mustHave(t, d.Rows, []string{"contender", "waiting"}, []string{"p50_ns", "p99_ns", "p999_ns", "max_ns", "records"})
	for _, row := range d.Rows {
		if row["contender"] != byScans && row["contender"] != byFloor && row["records"].(float64)+row["lost"].(float64) < 60 || row["p50_ns"].(float64) > row["max_ns"].(float64) {
			t.Errorf("records are missing: %v", row)
		}
	}
	if len(d.Rows) < len(routes()) || len(d.Figures) != 3 {
		t.Errorf("%d rows, %d figures", len(d.Rows), len(d.Figures))
	}
}

// Without a sidecar there is what can be had without one.
func TestLatencyWithoutASidecar(t *testing.T) {
	bpftest.RequireRoot(t)
	d := testWith(t, "latency", func(b *bench) (*result, error) {
		return b.latency(t.Context(), "", latencyPlan{time.Millisecond, 5, 5 * time.Millisecond})
	})
	if len(d.Rows) < 2 || len(d.Figures) != 0 {
		t.Errorf("%d rows, %d figures", len(d.Rows), len(d.Figures))
	}
}

func testRestart(t *testing.T, path string) {
	d := testWith(t, "restart", func(b *bench) (*result, error) { return b.restart(t.Context(), path, 2) })
	mustHave(t, d.Rows, []string{"contender"}, []string{"consumers", "back_ms", "back_ms_max", "rounds"})
	if len(d.Rows) != 2 || len(d.Figures) != 2 {
		t.Errorf("%d rows, %d figures", len(d.Rows), len(d.Figures))
	}
}

func testSoak(t *testing.T, path string) {
	d := testWith(t, "soak", func(b *bench) (*result, error) {
		return b.soak(t.Context(), path, soakPlan{2, 10 * time.Millisecond, 200 * time.Millisecond})
	})
	mustHave(t, d.Rows, nil, []string{"second", "p50_ns", "p99_ns", "scans", "lost_rows", "sidecar_rss_bytes", "reader_rss_bytes"})
	for _, row := range d.Rows {
		if row["sidecar_rss_bytes"].(float64) == 0 || row["reader_rss_bytes"].(float64) == 0 {
			t.Errorf("nothing is resident: %v", row)
		}
	}
}

func TestQuiet(t *testing.T) {
	bpftest.RequireRoot(t)
	d := testWith(t, "quiet", func(b *bench) (*result, error) { return b.quiet(t.Context(), 2) })
	mustHave(t, d.Rows, []string{"contender"}, []string{"consumers", "heartbeats", "wake_ups", "wake_ups_by_others", "wake_ups_per_consumer_and_second"})
	if len(d.Rows) != 1 || len(d.Figures) != 1 {
		t.Errorf("%d rows, %d figures", len(d.Rows), len(d.Figures))
	}
}
