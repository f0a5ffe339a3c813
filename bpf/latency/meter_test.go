// SPDX-License-Identifier: Apache-2.0

package latency_test

import (
	"errors"
	"math/bits"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/bpf/latency"
)

func open(tb testing.TB, threshold time.Duration) *latency.Meter {
	tb.Helper()
	bpftest.RequireRoot(tb)
	m, err := latency.Open(threshold)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := errors.Join(m.Close(), m.Close()); err != nil {
			tb.Error(err)
		}
	})
	return m
}

// table is a hash with one entry.
func table(tb testing.TB) (m *ebpf.Map, key, value []byte) {
	tb.Helper()
	m = bpftest.NewMap(tb, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 4})
	key, value = make([]byte, 4), make([]byte, 8)
	if err := m.Put(key, value); err != nil {
		tb.Fatal(err)
	}
	return m, key, value
}

func sum(c latency.Counts) (n uint64) {
	for _, x := range c {
		n += x
	}
	return n
}

func TestCountsReadingCalls(t *testing.T) {
	m := open(t, 0)
	hash, key, value := table(t)
	before := sum(m.Counts())
	for range 100 {
		if err := errors.Join(hash.Lookup(key, value), hash.Put(key, value)); err != nil { // a write is no reading call
			t.Fatal(err)
		}
	}
	if err := hash.NextKey(key, value[:4]); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Fatal(err)
	}
	var cursor ebpf.MapBatchCursor
	if _, err := hash.BatchLookup(&cursor, make([]uint32, 4), make([]uint64, 4), nil); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Fatal(err)
	}
	if n := sum(m.Counts()) - before; n != 102 {
		t.Errorf("%d calls of 102", n)
	}
	if n := m.Drain(new(latency.Call)); n != 0 {
		t.Errorf("%d reports without a threshold", n)
	}
}

func TestCountsEveryThread(t *testing.T) {
	m := open(t, 0)
	hash, _, _ := table(t)
	before := sum(m.Counts())
	done := make(chan error)
	for range 8 {
		go func() {
			runtime.LockOSThread() // and ends with it
			var err error
			for range 500 {
				err = errors.Join(err, hash.Lookup(make([]byte, 4), make([]byte, 8)))
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if n := sum(m.Counts()) - before; n != 4000 {
		t.Errorf("%d calls of 4000", n)
	}
}

// What the kernel says of a call lies within what its caller measures.
func TestReportsLongCalls(t *testing.T) {
	m := open(t, 1)
	hash, key, value := table(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m.Drain(new(latency.Call))
	before := m.Counts()
	began := time.Now()
	if err := hash.Lookup(key, value); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	var worst latency.Call
	n := m.Drain(&worst)
	if n != 1 || worst.Took <= 0 || worst.Took > took || worst.Cmd != unix.BPF_MAP_LOOKUP_ELEM || worst.Began <= 0 {
		t.Fatalf("%d reports, %+v of %v", n, worst, took)
	}
	exponent := max(0, bits.Len64(uint64(worst.Took))-4)
	if i := exponent*8 + int(worst.Took>>exponent); m.Counts()[i]-before[i] != 1 {
		t.Errorf("a call of %v is not in bucket %d", worst.Took, i)
	}
}

// More reports than there is room for cost nothing but the reports.
func TestReportsOverflow(t *testing.T) {
	m := open(t, 1)
	hash, key, value := table(t)
	before := sum(m.Counts())
	for range 1000 {
		if err := hash.Lookup(key, value); err != nil {
			t.Fatal(err)
		}
	}
	if n := sum(m.Counts()) - before; n != 1000 {
		t.Errorf("%d calls of 1000", n)
	}
	if n := m.Drain(new(latency.Call)); n == 0 || n > 4096/32 {
		t.Errorf("%d reports", n)
	}
	m.Drain(new(latency.Call))
	if err := hash.Lookup(key, value); err != nil {
		t.Fatal(err)
	}
	if n := m.Drain(new(latency.Call)); n != 1 {
		t.Errorf("%d reports after there was room again", n)
	}
}

// Another process is none of our business. The child reads a map of its own.
func TestOtherProcessesAreNotCounted(t *testing.T) {
	if os.Getenv("RINGSIDE_TEST_CHILD") == "1" {
		hash, key, value := table(t)
		for range 100 {
			if err := hash.Lookup(key, value); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	m := open(t, 0)
	before := sum(m.Counts())
	cmd := exec.Command(os.Args[0], "-test.run", "^TestOtherProcessesAreNotCounted$")
	cmd.Env = append(os.Environ(), "RINGSIDE_TEST_CHILD=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n := sum(m.Counts()) - before; n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestNotPermitted(t *testing.T) {
	err := bpftest.AsUser(t, bpftest.Nobody, func() error {
		m, err := latency.Open(0)
		if err == nil {
			err = errors.Join(errors.New("opened"), m.Close())
		}
		return err
	})
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "CAP_BPF") {
		t.Errorf("got %v", err)
	}
}

// BenchmarkForeignSyscall is what an open meter costs a system call that has
// nothing to do with it.
func BenchmarkForeignSyscall(b *testing.B) {
	run := func(b *testing.B) {
		for range b.N {
			unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
		}
	}
	b.Run("closed", run)
	open(b, 0)
	b.Run("open", run)
	b.Run("threads-own-clock", func(b *testing.B) { // what timing by ourselves costs
		var ts unix.Timespec
		for range b.N {
			unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
		}
	})
}

// BenchmarkCounts is what the pool pays once a second.
func BenchmarkCounts(b *testing.B) {
	m := open(b, 0)
	var worst latency.Call
	b.ReportAllocs()
	for range b.N {
		_ = m.Counts()
		m.Drain(&worst)
	}
}
