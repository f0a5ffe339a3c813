// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"encoding/binary"
	"runtime"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/lab"
)

// ChurnBytes is the size of the values that Churn puts in.
const ChurnBytes = lab.ValueBytes

// ChurnValue is the only value that Churn ever puts in for a key.
func ChurnValue(key uint32) []byte {
	var b []byte
	for _, word := range lab.Value(key) {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	return b
}

// Churn puts in and takes out keys of a hash with 4-byte keys, from within the
// kernel, on as many CPUs as there are, until stop is called. Only the keys from
// first on, so many of them, are touched.
// Keys that are there are overwritten as often as they are taken out.
func Churn(tb testing.TB, m *ebpf.Map, first, keys uint32) (stop func()) {
	tb.Helper()
	return churn(tb, m, first, keys, lab.Churn)
}

// ChurnInserts is Churn without overwriting.
func ChurnInserts(tb testing.TB, m *ebpf.Map, first, keys uint32) (stop func()) {
	tb.Helper()
	return churn(tb, m, first, keys, lab.Insert)
}

// ChurnOverwrites only overwrites keys that are there.
func ChurnOverwrites(tb testing.TB, m *ebpf.Map, first, keys uint32) (stop func()) {
	tb.Helper()
	return churn(tb, m, first, keys, lab.Overwrite)
}

func churn(tb testing.TB, m *ebpf.Map, first, keys uint32, kind lab.Kind) (stop func()) {
	tb.Helper()
	w, err := lab.OpenWriter(m, kind, first, keys)
	if err != nil {
		Skip(tb, "needs to load a SYSCALL program with bpf_loop: %v", err)
	}
	tb.Cleanup(func() { w.Close() })
	end := w.Start(runtime.NumCPU())
	return sync.OnceFunc(func() {
		if err := end(); err != nil {
			tb.Errorf("churn: %v", err)
		}
	})
}
