// SPDX-License-Identifier: Apache-2.0

package c

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/clients/clienttest"
	"github.com/ringside-bpf/ringside/shm"
)

// What a row of 4 + 32 bytes costs: in a lease, and copied, in a ring that fits
// the cache and in one that does not.
func BenchmarkRows(b *testing.B) {
	for _, bytes := range []uint64{1 << 20, 64 << 20} {
		b.Run(fmt.Sprintf("ring=%dMiB", bytes>>20), func(b *testing.B) {
			s := clienttest.Open(b, bytes)
			f := clienttest.AddFeed(b, s.Ring, 0)
			for f.Rows < 2*bytes/36 {
				f.Publish(b, 1500)
			}
			program := filepath.Join(build(b, "gcc"), "bench", "rows")
			var r struct {
				Lease float64 `json:"lease_ns_per_row"`
				Copy  float64 `json:"copy_ns_per_row"`
			}
			for b.Loop() {
				if err := json.Unmarshal([]byte(output(b, program, s.Path, "2")), &r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(0, "ns/op") // is the program's two seconds
			b.ReportMetric(r.Lease, "lease-ns/row")
			b.ReportMetric(r.Copy, "copy-ns/row")
		})
	}
}

// From a frame to what a consumer of another process prints, which slept. The
// pause keeps below the 1000 rings a second that a bell may have; one that was lost
// would cost a second.
func BenchmarkWake(b *testing.B) {
	l := lend(b, shm.SourceInfo{Name: "m", KeySize: 8, ValueSize: 8, MapValueSize: 8})
	keep := start(b, os.Geteuid(), filepath.Join(build(b, "gcc"), "tests", "keep"), l.path, "m")
	keep.Expect(b, "attached")
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for b.Loop() {
		b.StopTimer()
		<-pause.C
		b.StartTimer()
		l.publish(b, shm.KindRows, shm.FlagFirst|shm.FlagLast|shm.FlagKeyframe, 1, 1)
		if line := told(b, keep); line != "fresh 1 1" {
			b.Fatal(line)
		}
	}
}
