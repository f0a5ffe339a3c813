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

func open(tb testing.TB) *latency.Meter {
	tb.Helper()
	bpftest.RequireRoot(tb)
	m, err := latency.Open()
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
	m := open(t)
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
}

func TestCountsEveryThread(t *testing.T) {
	m := open(t)
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
func TestKnowsTheLongestCall(t *testing.T) {
	m := open(t)
	if none := m.Longest(); none != (latency.Call{}) {
		t.Errorf("before any call: %+v", none)
	}
	hash, key, value := table(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := m.Counts() // of features that were probed for
	began := time.Now()
	if err := hash.Lookup(key, value); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	longest := m.Longest()
	if sum(before) == 0 && (longest.Took <= 0 || longest.Took > took || longest.Cmd != unix.BPF_MAP_LOOKUP_ELEM || longest.Thread == 0) {
		t.Fatalf("%+v of %v", longest, took)
	}
	exponent := max(0, bits.Len64(uint64(longest.Took))-4)
	if i := exponent*8 + int(longest.Took>>exponent); m.Counts()[i] == 0 {
		t.Errorf("a call of %v is not in bucket %d", longest.Took, i)
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
	m := open(t)
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
		m, err := latency.Open()
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
	open(b)
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
	m := open(b)
	b.ReportAllocs()
	for range b.N {
		_ = m.Counts()
		_ = m.Longest()
	}
}
