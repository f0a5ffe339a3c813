// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/acl"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/reader"
)

// The whole of the reader's configuration arrives at the pool, and comes back
// in the status.
func TestPoolAsConfigured(t *testing.T) {
	_, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 16})
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !set.IsSet(cpu) {
		cpu++
	}
	cfg, err := config.Flags{Maps: []string{pin + "=10ms"}, ReadWhenIdle: true, Duty: "30%"}.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Reader.CPUs, cfg.Reader.KernelTiming, cfg.Reader.WorkersMax = []int{cpu}, true, 1
	r := serveConfig(t, cfg)
	deadline := time.Now().Add(patience)
	for r.status().Rings[0].Sources[0].Scans == 0 {
		if time.Now().After(deadline) {
			t.Fatal("nothing is read")
		}
	}
	doc := r.status()
	p, s := doc.Sidecar.Pool, doc.Rings[0].Sources[0]
	if p.WorkersMin != 1 || p.WorkersMax != 1 || p.DutyAllowed != 0.3 || p.Stretch < 1 || len(p.CPUs) != 1 || p.CPUs[0] != cpu {
		t.Errorf("%+v", p)
	}
	if p.CallClock != "kernel" || p.CallClockReason != "" {
		t.Errorf("clock %q, %s", p.CallClock, p.CallClockReason)
	}
	if s.EffectiveNS < s.EveryNS || s.CPUNS <= 0 {
		t.Errorf("%+v", s)
	}
}

func TestCPUsThatAreNotAllowed(t *testing.T) {
	bpftest.RequireRoot(t)
	cfg, err := config.Flags{Maps: []string{"/sys/fs/bpf/flows"}}.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Reader.CPUs = []int{1000}
	_, err = New(cfg, Options{Log: zerolog.Nop(), Lookup: acl.LookupGroup})
	if !errors.Is(err, reader.ErrCPUs) || !strings.Contains(err.Error(), "reader.cpus: CPU 1000") {
		t.Errorf("got %v", err)
	}
}

func TestWorkersThatRoamAreAReason(t *testing.T) {
	reasons := new(Sidecar).processReasons(&status.Sidecar{}, reader.PoolStats{Roaming: reader.ErrCPUs})
	if len(reasons) != 1 || reasons[0].Code != status.CPUsRefused || reasons[0].Remedy == "" {
		t.Errorf("%+v", reasons)
	}
}
