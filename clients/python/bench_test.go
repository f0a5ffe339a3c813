// SPDX-License-Identifier: Apache-2.0

package python_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/ringside-bpf/ringside/clients/clienttest"
)

// What one row costs: a million of 4 and 32 bytes, all in the ring already, in
// frames as the sidecar makes them of small maps and of large ones. In small frames
// the calls that each of them takes count, those into numpy too.
func BenchmarkRows(b *testing.B) {
	for _, frame := range []int{3276, 13107} {
		b.Run(fmt.Sprintf("frame=%d", frame), func(b *testing.B) { benchmarkRows(b, frame) })
	}
}

func benchmarkRows(b *testing.B, frame int) {
	frames := (1 << 20) / frame
	s := clienttest.Open(b, 64<<20)
	f := clienttest.AddFeed(b, s.Ring, 0)
	for range frames + 1 {
		f.Publish(b, frame)
	}
	for b.Loop() {
		cmd := full(b, "../bench/rows.py", s.Path)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			b.Fatal(err)
		}
		var r struct {
			Rows    int
			Lease   float64 `json:"lease_ns_per_row"`
			Copies  float64 `json:"copies_ns_per_row"`
			Numpy   float64 `json:"numpy_ns_per_row"`
			ByFrame float64 `json:"numpy_by_frame_ns_per_row"`
		}
		if err := json.Unmarshal(out, &r); err != nil || r.Rows != frames*frame {
			b.Fatalf("%v: %s", err, out)
		}
		b.ReportMetric(r.Lease, "lease-ns/row")
		b.ReportMetric(r.Copies, "copies-ns/row")
		b.ReportMetric(r.Numpy, "numpy-ns/row")
		b.ReportMetric(r.ByFrame, "numpy-by-frame-ns/row")
	}
}
