// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// Batch lookups hold the bucket's lock: while other keys come and go, no row
// mixes one key with another's value, and no key that stays is missed.
func TestLockedScanUnderChurn(t *testing.T) {
	const stay, churn = 1000, 1000
	m, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: stay + churn})
	value := func(key uint32) []byte {
		v := make([]byte, 32)
		for i := 0; i < 32; i += 4 {
			binary.LittleEndian.PutUint32(v[i:], key)
		}
		return v
	}
	for key := range uint32(stay) {
		if err := m.Put(key, value(key)); err != nil {
			t.Fatal(err)
		}
	}
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() {
		for key := uint32(stay); !stop.Load(); key++ {
			if err := m.Put(key, value(key)); err != nil {
				done <- err
				return
			}
			if old := key - churn/2; old >= stay {
				if err := m.Delete(old); err != nil {
					done <- err
					return
				}
			}
		}
		done <- nil
	}()

	s := open(t, pin, reader.Options{Consistency: reader.Locked})
	dst := readertest.For(t, s, 1<<13)
	for range 100 {
		dst.Reset()
		if _, err := s.Scan(context.Background(), dst); err != nil {
			t.Error(err)
			break
		}
		stayed := 0
		for _, r := range dst.Rows {
			key := binary.LittleEndian.Uint32(r.Key)
			if string(r.Value) != string(value(key)) {
				t.Errorf("key %d has the value %x", key, r.Value)
			}
			if key < stay {
				stayed++
			}
		}
		if stayed != stay {
			t.Errorf("%d of the %d keys that stay", stayed, stay)
		}
	}
	stop.Store(true)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
