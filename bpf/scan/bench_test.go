// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

func BenchmarkPump(b *testing.B) {
	for _, typ := range []ebpf.MapType{ebpf.Hash, ebpf.LRUHash, ebpf.Array, ebpf.PerCPUHash, ebpf.PerCPUArray} {
		for _, n := range []int{65536} {
			spec := &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 32, MaxEntries: uint32(n)}
			if typ == ebpf.LRUHash {
				spec.MaxEntries *= 2
			}
			m := bpftest.NewMap(b, spec)
			t := Target{FD: m.FD(), Type: typ, KeySize: 4, ValueSize: 32, MaxEntries: int(m.MaxEntries())}
			cpus := ebpf.MustPossibleCPU()
			if typ == ebpf.PerCPUHash || typ == ebpf.PerCPUArray {
				t.CPUs = cpus
				keys, values := make([]uint32, n), make([][32]byte, n*cpus)
				for i := range keys {
					keys[i] = uint32(i)
				}
				if _, err := m.BatchUpdate(keys, values, nil); err != nil {
					b.Fatal(err)
				}
			} else {
				keys, values := make([]uint32, n), make([][32]byte, n)
				for i := range keys {
					keys[i] = uint32(i)
				}
				if _, err := m.BatchUpdate(keys, values, nil); err != nil {
					b.Fatal(err)
				}
			}
			room := n * 9 / 8
			if t.Array() {
				room = 8192
			}
			run := func(b *testing.B, t Target) {
				p, err := OpenPump(t, room)
				if err != nil {
					var ve *ebpf.VerifierError
					if errors.As(err, &ve) {
						b.Fatalf("%+v", ve)
					}
					b.Fatal(err)
				}
				defer p.Close()
				var hold time.Duration
				var rows, disc int
				b.ResetTimer()
				for range b.N {
					hold, rows = 0, 0
					if t.Array() {
						for f := 0; f < n; f += room {
							_, r, err := p.Range(f, min(room, n-f))
							if err != nil {
								b.Fatal(err)
							}
							hold += r.Hold
							rows += r.Rows
						}
					} else {
						_, r, err := p.Walk(time.Second)
						if err != nil {
							b.Fatal(err)
						}
						hold, rows, disc = r.Hold, r.Rows, r.Discarded
					}
				}
				if rows != n || disc != 0 {
					b.Fatal(rows, disc)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
				b.ReportMetric(float64(hold.Nanoseconds())/float64(rows), "hold-ns/row")
			}
			if !t.Array() {
				r, err := Count(t, time.Second)
				fmt.Println(typ, r, float64(r.Hold)/float64(r.Rows), err)
			}
			b.Run(fmt.Sprintf("%s/%d", typ, n), func(b *testing.B) { run(b, t) })
			if t.CPUs > 0 {
				t.Sum = []Int{{0, 8, false}, {8, 8, false}, {16, 8, false}, {24, 8, false}}
				b.Run(fmt.Sprintf("%s/%d/sum", typ, n), func(b *testing.B) { run(b, t) })
			}
		}
	}
}
