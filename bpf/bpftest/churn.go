// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
)

// ChurnBytes is the size of the values that Churn puts in.
const ChurnBytes = 32

// ChurnValue is the only value that Churn ever puts in for a key.
func ChurnValue(key uint32) []byte {
	b := make([]byte, ChurnBytes)
	for w := range uint32(ChurnBytes / 8) {
		binary.LittleEndian.PutUint64(b[8*w:], uint64(key+w)<<32|uint64(^(key+w)))
	}
	return b
}

// Churn puts in and takes out keys of a hash with 4-byte keys, from within the
// kernel, on as many CPUs as there are, until stop is called. Only the keys from
// first on, so many of them, are touched.
// Keys that are there are overwritten as often as they are taken out.
func Churn(tb testing.TB, m *ebpf.Map, first, keys uint32) (stop func()) {
	tb.Helper()
	return churn(tb, m, first, keys, ebpf.UpdateAny)
}

// ChurnInserts is Churn without overwriting.
func ChurnInserts(tb testing.TB, m *ebpf.Map, first, keys uint32) (stop func()) {
	tb.Helper()
	return churn(tb, m, first, keys, ebpf.UpdateNoExist)
}

// ChurnOverwrites only overwrites keys that are there.
func ChurnOverwrites(tb testing.TB, m *ebpf.Map, first, keys uint32) (stop func()) {
	tb.Helper()
	return churn(tb, m, first, keys, ebpf.UpdateExist)
}

func churn(tb testing.TB, m *ebpf.Map, first, keys uint32, flags ebpf.MapUpdateFlags) (stop func()) {
	tb.Helper()
	program := churnProgram(tb, m, first, keys, flags)
	quit := make(chan struct{})
	errs := make(chan error, runtime.NumCPU())
	var all sync.WaitGroup
	for range runtime.NumCPU() {
		all.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				if _, err := program.Run(&ebpf.RunOptions{}); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	return sync.OnceFunc(func() {
		close(quit)
		all.Wait()
		select {
		case err := <-errs:
			tb.Errorf("churn: %v", err)
		default:
		}
	})
}

func churnProgram(tb testing.TB, m *ebpf.Map, first, keys uint32, flags ebpf.MapUpdateFlags) *ebpf.Program {
	tb.Helper()
	spec, err := loadChurn()
	if err != nil {
		tb.Fatal(err)
	}
	info, err := m.Info()
	if err != nil {
		tb.Fatal(err)
	}
	target := spec.Maps[churnMapTarget]
	target.Type, target.MaxEntries, target.Flags = info.Type, info.MaxEntries, info.Flags
	for name, value := range map[string]uint32{churnVarFirst: first, churnVarKeys: keys, churnVarFlags: uint32(flags)} {
		if err := spec.Variables[name].Set(value); err != nil {
			tb.Fatal(err)
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{churnMapTarget: m}})
	if err != nil {
		Skip(tb, "needs to load a SYSCALL program with bpf_loop: %v", err)
	}
	tb.Cleanup(coll.Close)
	program := coll.Programs[churnProgChurn]
	if _, err := program.Run(&ebpf.RunOptions{}); err != nil {
		tb.Fatal(fmt.Errorf("churn: %w", err))
	}
	return program
}
