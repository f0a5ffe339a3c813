// SPDX-License-Identifier: Apache-2.0

package c

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
)

// What a row of 4 + 32 bytes costs: in a lease, and copied, in a ring that fits
// the cache and in one that does not.
func BenchmarkRows(b *testing.B) {
	for _, bytes := range []uint64{1 << 20, 64 << 20} {
		b.Run(fmt.Sprintf("ring=%dMiB", bytes>>20), func(b *testing.B) {
			s := open(b, bytes)
			f, err := addFeed(s.ring)
			if err != nil {
				b.Fatal(err)
			}
			for f.rows < 2*bytes/36 {
				if err := f.publish(context.Background(), 1500); err != nil {
					b.Fatal(err)
				}
			}
			program := filepath.Join(build(b, "gcc"), "bench", "rows")
			var r struct {
				Lease float64 `json:"lease_ns_per_row"`
				Copy  float64 `json:"copy_ns_per_row"`
			}
			for b.Loop() {
				if err := json.Unmarshal([]byte(output(b, program, s.path, "2")), &r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(0, "ns/op") // is the program's two seconds
			b.ReportMetric(r.Lease, "lease-ns/row")
			b.ReportMetric(r.Copy, "copy-ns/row")
		})
	}
}
