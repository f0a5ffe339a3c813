// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/bpf/lab"
)

func TestCallsAreCountedAndTimed(t *testing.T) {
	bpftest.RequireRoot(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := lab.OpenCalls()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Attach(); err != nil {
		t.Fatal(err)
	}
	const calls = 1000
	got, err := c.Watch(func() error {
		for range calls {
			unix.Getppid()
		}
		// Away from the processor, which is not counted, however long it is.
		wait := unix.Timespec{Nsec: int64(250 * time.Millisecond)}
		for {
			if err := unix.Nanosleep(&wait, &wait); !errors.Is(err, unix.EINTR) {
				return err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Calls < calls+1 || got.Total <= 0 || got.Longest > got.Total || got.Longest >= 250*time.Millisecond || got.Whole < got.Total || got.Whole >= 250*time.Millisecond {
		t.Errorf("%+v", got)
	}
	if none, err := c.Watch(func() error { return nil }); err != nil || none.Calls >= calls || none.Longest >= got.Total {
		t.Errorf("%+v, %v: counts are kept", none, err)
	}
}

func TestProbeSeesTimers(t *testing.T) {
	bpftest.RequireRoot(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := lab.OpenProbe(filepath.Join(t.TempDir(), "tracefs"))
	if err != nil {
		bpftest.Skip(t, "needs tracefs and its timers: %v", err)
	}
	defer p.Close()
	got, err := p.Watch(func() error {
		for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
		}
		return nil
	})
	if err != nil || got.All == 0 || got.Shown != got.All {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWritersWrite(t *testing.T) {
	const first, keys = 100, 50
	for _, kind := range []lab.Kind{lab.Count, lab.Churn, lab.Insert} {
		m := bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: lab.ValueBytes, MaxEntries: 1000})
		for key := range uint32(200) {
			if err := m.Put(key, lab.Value(key)); err != nil {
				t.Fatal(err)
			}
		}
		w, err := lab.OpenWriter(m, kind, first, keys)
		if err != nil {
			bpftest.Skip(t, "needs SYSCALL programs with bpf_loop: %v", err)
		}
		if err := w.Start(2)(); err != nil {
			t.Error(err)
		}
		w.Close()
		touched := 0
		for key := range uint32(200) {
			var v [lab.ValueWords]uint64
			err := m.Lookup(key, &v)
			changed := err != nil || v != lab.Value(key)
			if changed {
				touched++
			}
			if inside := key >= first && key < first+keys; changed && !inside || kind != lab.Count && err == nil && v != lab.Value(key) {
				t.Errorf("%s: key %d has %x, %v", kind, key, v, err)
			}
		}
		if touched == 0 {
			t.Errorf("%s: nothing was touched", kind)
		}
	}
}
