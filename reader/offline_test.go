// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// offlineEnv has to be "1" for a test that takes a CPU of the machine away for
// a moment, which whoever else works there would notice.
const offlineEnv = "RINGSIDE_OFFLINE_CPU"

// lastCPU is the switch of the last possible CPU.
func lastCPU(t *testing.T) string {
	t.Helper()
	if os.Getenv(offlineEnv) != "1" {
		t.Skipf("takes a CPU of this machine away for a moment; %s=1 allows it", offlineEnv)
	}
	bpftest.RequireRoot(t)
	path := fmt.Sprintf("/sys/devices/system/cpu/cpu%d/online", ebpf.MustPossibleCPU()-1)
	if text, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(text)) != "1" {
		bpftest.Skip(t, "needs a CPU that can be switched off: %s: %q, %v", path, text, err)
	}
	t.Cleanup(func() { turn(t, path, true) })
	return path
}

func turn(t *testing.T, path string, on bool) {
	t.Helper()
	text := map[bool]string{true: "1", false: "0"}[on]
	if err := os.WriteFile(path, []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

// TestOfflineCPU: the values of a CPU that is possible and not online stay in
// the map, and are read and summed like all others; by sources that were opened
// before it went and after, and while it comes and goes.
func TestOfflineCPU(t *testing.T) {
	path := lastCPU(t)
	const rows = 200
	cpus := ebpf.MustPossibleCPU()
	for _, typ := range []ebpf.MapType{ebpf.PerCPUHash, ebpf.LRUCPUHash, ebpf.PerCPUArray} {
		m, pin := bpftest.NewPinned(t, "counters", &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: rows, Key: u32Type, Value: u64Type})
		for key := range uint32(rows) {
			values := make([]uint64, cpus)
			for cpu := range values {
				values[cpu] = uint64(key)<<8 + uint64(cpu) + 1
			}
			if err := m.Put(key, values); err != nil {
				t.Fatal(err)
			}
		}
		for _, how := range []reader.PerCPU{reader.All, reader.Sum} {
			for _, engine := range []string{reader.EnginePump, reader.EngineIter, reader.EngineBatch, reader.EngineWalk} {
				if typ == ebpf.LRUCPUHash && engine == reader.EngineIter {
					continue // the kernel iterates over the other kind alone
				}
				t.Run(fmt.Sprintf("%v/%s/%s", typ, how, engine), func(t *testing.T) {
					offlineCPU(t, path, pin, reader.Options{Engine: engine, PerCPU: how, MaxHold: time.Second})
				})
			}
		}
	}
}

func offlineCPU(t *testing.T, path, pin string, o reader.Options) {
	before := open(t, pin, o)
	want := scan(t, before, readertest.For(t, before, 1<<13))
	turn(t, path, false)
	defer turn(t, path, true)
	after := open(t, pin, o)
	for name, s := range map[string]*reader.Source{"opened before": before, "opened after": after} {
		if got := scan(t, s, readertest.For(t, s, 1<<13)); !maps.Equal(got, want) {
			t.Errorf("%s: %d rows, %d wanted, and not the same", name, len(got), len(want))
		}
	}
	// And while it comes and goes: the scans go on meanwhile.
	flipped := make(chan struct{})
	go func() {
		defer close(flipped)
		for range 3 {
			os.WriteFile(path, []byte("1"), 0)
			os.WriteFile(path, []byte("0"), 0)
		}
	}()
	dst := readertest.For(t, before, 1<<13)
	for going := true; going; {
		select {
		case <-flipped:
			going = false
		default:
		}
		if got := scan(t, before, dst); !maps.Equal(got, want) {
			t.Fatalf("%d rows while the CPU comes and goes, %d wanted, and not the same", len(got), len(want))
		}
	}
}

// TestWorkersOfOfflineCPU: workers that were bound to a CPU that goes away go on
// elsewhere, and a pool is not made for one that is away.
func TestWorkersOfOfflineCPU(t *testing.T) {
	path := lastCPU(t)
	last := ebpf.MustPossibleCPU() - 1
	_, pin := bpftest.NewPinned(t, "counters", &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 8})
	s := open(t, pin, reader.Options{})
	scans := make(chan error, 1)
	p := reader.NewPool(reader.PoolOptions{CPUs: []int{last}, Duty: 1})
	defer p.Stop(context.Background())
	_, err := p.Add(reader.Job{Source: s, Destination: readertest.New(t, 1<<13), Every: time.Millisecond, OnScan: func(_ reader.ScanStats, err error) {
		select {
		case scans <- err:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-scans; err != nil {
		t.Fatal(err)
	}
	turn(t, path, false)
	for range 3 {
		if err := <-scans; err != nil {
			t.Fatal(err)
		}
	}
	if err := reader.CheckCPUs([]int{last}); err == nil {
		t.Error("a CPU that is away was accepted")
	}
}
