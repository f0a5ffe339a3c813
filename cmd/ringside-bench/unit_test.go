// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/reader"
)

func TestCallRows(t *testing.T) {
	calls := map[call]uint64{
		{readingThread, unix.SYS_FUTEX}: 3, {readingThread, unix.SYS_RECVMSG}: 5, {readingThread, 1023}: 0,
		{otherThreads, unix.SYS_READ}: 1, {otherThreads, -1}: 2,
	}
	got := callRows(byReading, calls, 2_000_000)
	want := []syscallRow{
		{byReading, readingThread, anyCall, "", 8, 2_000_000, 4},
		{byReading, readingThread, "recvmsg", whoseOurs, 5, 2_000_000, 2.5},
		{byReading, readingThread, "futex", whoseRuntime, 3, 2_000_000, 1.5},
		{byReading, otherThreads, anyCall, "", 3, 2_000_000, 1.5},
		{byReading, otherThreads, "syscall -1", whoseOurs, 2, 2_000_000, 1},
		{byReading, otherThreads, "read", whoseTold, 1, 2_000_000, 0.5},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if n := oursWhileReading(got); n != 2.5 {
		t.Errorf("%v calls of ours", n)
	}
}

func TestTunePassesOverChunksThatHoldNoBucket(t *testing.T) {
	var tried []int
	best, err := tune(4096, func(chunk int) bare {
		tried = append(tried, chunk)
		return func() (int, error) {
			if chunk < 4096 {
				return 0, fmt.Errorf("a bucket: %w", unix.ENOSPC)
			}
			return 4096, nil
		}
	})
	if err != nil || best != 4096 {
		t.Errorf("%d, %v; tried %v", best, err, tried)
	}
	if _, err := tune(512, func(int) bare {
		return func() (int, error) { return 0, unix.EPERM }
	}); !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v", err)
	}
}

func TestFigures(t *testing.T) {
	for _, f := range []figure{atMost("a", exactly(2), 2, times), atLeast("b", exactly(2), 2, times)} {
		if !f.Reached {
			t.Errorf("the bound itself is not good enough: %+v", f)
		}
	}
	if atMost("a", exactly(2.1), 2, times).Reached || atLeast("b", exactly(1.9), 2, times).Reached {
		t.Error("beyond the bound is good enough")
	}
}

func TestPrivateClaimsAreApart(t *testing.T) {
	p := newPrivate(4096, 1024)
	seen := map[*byte]bool{}
	for range 8 {
		b, err := p.Claim(t.Context(), 64, 2048)
		if err != nil || len(b) != 1024 {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		seen[&b[0]] = true
		p.Commit(reader.Frame{Length: 1000})
	}
	if len(seen) != 4 {
		t.Errorf("%d places were used, there are 4", len(seen))
	}
	if _, err := p.Claim(t.Context(), 2048, 2048); err == nil {
		t.Error("a claim was lent that does not fit")
	}
}

// A client maps memory when it attaches, the Go runtime whenever it likes.
func TestWhoseMappingsAre(t *testing.T) {
	for _, tc := range []struct {
		messages uint64
		ours     float64
	}{{0, 0}, {1, 1}} {
		calls := map[call]uint64{{readingThread, unix.SYS_MMAP}: 1, {otherThreads, unix.SYS_RECVMSG}: tc.messages}
		if got := oursWhileReading(callRows(byReading, calls, 1_000_000)); got != tc.ours {
			t.Errorf("beside %d messages %v mappings are ours, want %v", tc.messages, got, tc.ours)
		}
	}
}
