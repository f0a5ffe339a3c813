// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
)

// TestReused reads small hashes whose every element is taken out and given to
// another key some ten thousand times a second: where readers do not see to it, a
// row in some 500,000 to 20,000,000 is one key's with another's value.
func TestReused(t *testing.T) {
	const keys = 600
	for _, spec := range []ebpf.MapSpec{{Type: ebpf.Hash}, {Type: ebpf.Hash, Flags: 1 /* BPF_F_NO_PREALLOC */}, {Type: ebpf.LRUHash}} {
		spec.KeySize, spec.ValueSize, spec.MaxEntries = 4, bpftest.ChurnBytes, 1024
		for _, engine := range []string{reader.EnginePump, reader.EngineSweep, reader.EngineIter, reader.EngineBatch} {
			t.Run(fmt.Sprintf("%v/flags=%d/%s", spec.Type, spec.Flags, engine), func(t *testing.T) {
				m, pin := bpftest.NewPinned(t, "reused", &spec)
				s := open(t, pin, reader.Options{Engine: engine, MaxHold: time.Second})
				stop := bpftest.Churn(t, m, 0, keys)
				defer stop()
				sum := watch(t, s, churnFor)
				stop()
				t.Logf("%d rows, %d discarded", sum.rows, sum.discarded)
				if sum.mixed+sum.torn > 0 || sum.rows == 0 {
					t.Errorf("%d mixed and %d torn rows of %d", sum.mixed, sum.torn, sum.rows)
				}
			})
		}
	}
}
