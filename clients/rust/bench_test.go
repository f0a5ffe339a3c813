// SPDX-License-Identifier: Apache-2.0

package rust_test

import (
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/ringside-bpf/ringside/clients/clienttest"
)

// What one row costs: frames of 2048 rows, 4-byte keys, 32-byte values, all in the ring already.
func BenchmarkRows(b *testing.B) {
	s := clienttest.Open(b, 16<<20)
	f := clienttest.AddFeed(b, s.Ring, 0)
	for range 17 {
		f.Publish(b, 2048)
	}
	bench := example(b, "bench")
	for b.Loop() {
		out, err := exec.Command(bench, s.Path).Output()
		if err != nil {
			b.Fatal(err)
		}
		var r struct {
			Rows   uint64
			Lease  float64 `json:"lease_ns_per_row"`
			Copies float64 `json:"copies_ns_per_row"`
		}
		if err := json.Unmarshal(out, &r); err != nil || r.Rows+2048 != f.Rows {
			b.Fatalf("%v: %s", err, out)
		}
		b.ReportMetric(r.Lease, "lease-ns/row")
		b.ReportMetric(r.Copies, "copies-ns/row")
	}
}
