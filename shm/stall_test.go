// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// A claim that is not settled holds back every source of the ring. Its age says
// so, and whoever waits for room behind it is let go when the ring is finished.
func TestClaimThatHangs(t *testing.T) {
	p := newTestRing(t, 1<<16)
	hangs, other := addSource(t, p, "hangs"), addSource(t, p, "other")
	if age := p.Totals().OldestClaimNS; age != 0 {
		t.Fatalf("a claim of %d ns in an empty ring", age)
	}
	before := monotonic.Now()
	if _, err := hangs.Claim(t.Context(), 64, 64); err != nil {
		t.Fatal(err)
	}
	blocked := make(chan error)
	go func() {
		for {
			if _, err := other.Claim(context.Background(), 4096, 4096); err != nil {
				blocked <- err
				return
			}
			other.Commit(rowContent(8, FlagFirst|FlagLast))
		}
	}()
	for late := time.Now().Add(10 * time.Second); ; {
		p.mu.Lock()
		waiting := p.waiters > 0
		p.mu.Unlock()
		if waiting {
			break
		}
		runtime.Gosched()
		if time.Now().After(late) {
			t.Fatal("claims without end behind one that hangs")
		}
	}
	total := p.Totals()
	if most := monotonic.Now() - before; total.Frames != 0 || total.OldestClaimNS == 0 || total.OldestClaimNS > most {
		t.Fatalf("%+v after at most %d ns", total, most)
	}

	expired, cancel := context.WithCancel(context.Background())
	cancel()
	finished := p.Finish(expired, StateSuperseded)
	if err := <-blocked; !errors.Is(err, ErrClosed) || !errors.Is(finished, context.Canceled) {
		t.Fatalf("who waited got %v, who finished %v", err, finished)
	}
	if age := p.Totals().OldestClaimNS; age < total.OldestClaimNS {
		t.Fatalf("the claim is %d ns old, it was %d", age, total.OldestClaimNS)
	}
	hangs.Abort()
	if total := p.Totals(); total != (Totals{}) {
		t.Fatalf("%+v", total)
	}
}

func TestAgeIsThatOfTheOldestOpenClaim(t *testing.T) {
	p := newTestRing(t, 1<<16)
	first, second := addSource(t, p, "first"), addSource(t, p, "second")
	for _, r := range []*Producer{first, second} {
		if _, err := r.Claim(t.Context(), 64, 64); err != nil {
			t.Fatal(err)
		}
	}
	both := p.Totals().OldestClaimNS
	second.Commit(rowContent(1, FlagFirst|FlagLast))
	if age := p.Totals().OldestClaimNS; age < both {
		t.Errorf("%d ns, before a younger claim was settled %d", age, both)
	}
	first.Commit(rowContent(1, FlagFirst|FlagLast))
	if total := p.Totals(); total.OldestClaimNS != 0 || total.Frames != 2 {
		t.Errorf("%+v", total)
	}
}
