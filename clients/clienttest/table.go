// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"fmt"
	"math/bits"
	"runtime"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// KeepsATable: a table follows keyframes and changes, and says when it cannot.
func (start Consumer) KeepsATable(t *testing.T) {
	s := Open(t, 1<<20)
	f := AddFeed(t, s.Ring, shm.SourceChanges)
	c := start(t, "table", s.Path)
	c.Expect(t, "attached")
	row := func(n uint64) string {
		return fmt.Sprintf("(%d, %d)", n, bits.RotateLeft64(n*0x9E3779B97F4A7C15+2, 14))
	}
	expect := func(want string) {
		t.Helper()
		if got := c.Expect(t, "table"); got != want {
			t.Errorf("table is %s, expected %s", got, want)
		}
	}
	f.Scan++
	f.Frame(t, shm.KindRows, WholeScan, 1, 2)
	expect("true 1 [" + row(1) + ", " + row(2) + "]")
	f.Scan++
	f.Frame(t, shm.KindRows, shm.FlagFirst, 3)
	f.Frame(t, shm.KindDeletes, shm.FlagLast, 1)
	expect("true 2 [" + row(2) + ", " + row(3) + "]")
	f.Scan++
	f.Frame(t, shm.KindRows, shm.FlagFirst, 4) // breaks off
	f.Scan++
	f.Frame(t, shm.KindRows, shm.FlagFirst|shm.FlagLast, 5)
	expect("false 2 [" + row(2) + ", " + row(3) + "]")
	if lease := <-s.Joined; !asked(lease) {
		t.Error("a stale table did not ask for a keyframe")
	}
	f.Scan++
	f.Frame(t, shm.KindRows, WholeScan, 6)
	expect("true 5 [" + row(6) + "]")
}

// asked waits until the consumer asks for a keyframe of the first source.
func asked(lease *handoff.Lease) bool {
	for end := time.Now().Add(Patience); time.Now().Before(end); runtime.Gosched() {
		if n, ok := lease.Consumer.TakeAsk(); ok {
			return n == 0
		}
	}
	return false
}
