// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// hashPrograms are those that go through the lists of a hash.
var hashPrograms = []struct {
	name   string
	direct bool // needs to read any address
	rows   bool // leaves them when it is run
}{
	{scanProgSweepHash, false, true},
	{scanProgIterRows, false, false},
	{scanProgPumpBuckets, true, true},
	{scanProgPumpElements, true, true},
	{scanProgFindQuietly, true, false},
}

// TestOtherMachines loads what this machine would not choose: with order kept by
// fences, and without reading any address. Where it leaves rows when it is run, they are counted.
func TestOtherMachines(t *testing.T) {
	for _, typ := range []ebpf.MapType{ebpf.Hash, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.LRUCPUHash} {
		m := bpftest.NewMap(t, &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: 1024})
		target := Target{FD: m.FD(), Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: 1024, Possible: ebpf.MustPossibleCPU()}
		var value any = uint64(7)
		if typ == ebpf.PerCPUHash || typ == ebpf.LRUCPUHash {
			target.CPUs = target.Possible
			value = make([]uint64, target.CPUs)
		}
		const keys = 100
		for key := range uint32(keys) {
			if err := m.Put(key, value); err != nil {
				t.Fatal(err)
			}
		}
		for _, on := range []machine{{direct: false, ordered: true}, {direct: false, ordered: false}, {direct: true, ordered: false}} {
			for _, p := range hashPrograms {
				if p.direct && !on.direct || p.name == scanProgIterRows && target.CPUs > 0 {
					continue
				}
				t.Run(fmt.Sprintf("%v/%s/%+v", typ, p.name, on), func(t *testing.T) {
					pump := loadFor(t, on, target, p.name)
					if !p.rows {
						return
					}
					if _, run, err := pump.Sweep(time.Second); err != nil || run.Rows != keys {
						t.Errorf("%d rows of %d: %v", run.Rows, keys, err)
					}
				})
			}
		}
	}
}

func loadFor(t *testing.T, on machine, target Target, program string) *Pump {
	t.Helper()
	stride := target.KeyStride() + target.ValueStride()
	coll, err := target.loadFor(on, program, stride, target.MaxEntries*stride)
	if err != nil {
		bpftest.Skip(t, "needs CAP_BPF, and Linux 6.17 for reading any address: %v", err)
	}
	p, err := newPump(coll, program, stride)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}
