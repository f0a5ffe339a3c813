// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"errors"
	"fmt"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
)

// Claims are published in their order. A call that fills one and does not come
// back from the kernel therefore holds back every source of its ring.
const (
	// stallTold is from when on that is said. A claim takes a few milliseconds.
	stallTold = 2 * time.Second
	// stallRenewed is from when on the call is given up: the other sources get
	// a new epoch, and the memory that it may yet write to is kept.
	stallRenewed = 10 * time.Second
	// stalledPatience is for a call that comes back at this very moment.
	stalledPatience = 100 * time.Millisecond
	// maxStuck bounds that memory.
	maxStuck = 4
)

// errStuck: the ring may not be replaced once more.
var errStuck = errors.New("too many calls into the kernel do not return")

// openFor is how long the oldest claim has been open.
func (e *epoch) openFor() time.Duration {
	return time.Duration(e.publisher.Totals().OldestClaimNS)
}

// isStuck tells whether the epoch ended over an open claim.
func (e *epoch) isStuck() bool { return e.done() && e.stuck != nil }

// stuckMemory is what epochs keep because the kernel may yet write to them. The
// caller holds the sidecar's mutex.
func (r *ring) stuckMemory() (epochs int, bytes uint64) {
	for _, list := range [][]*epoch{r.old, r.stuck} {
		for _, e := range list {
			if e.isStuck() {
				epochs++
				bytes += e.publisher.Geometry().TotalBytes
			}
		}
	}
	return epochs, bytes
}

// mayBegin refuses a further epoch when too many are stuck.
func (r *ring) mayBegin() error {
	if n, bytes := r.stuckMemory(); n >= maxStuck {
		return fmt.Errorf("ring %q: %w: %d replaced rings (%s) are kept for them, no further is begun", r.config.Name, errStuck, n, size64(bytes))
	}
	return nil
}

// renew begins a new epoch if a claim has been open for so long that it holds
// back others. A source that is alone in its ring holds back nobody. The caller
// holds what beginEpoch asks for, and finishes the old epoch after it.
func (s *Sidecar) renew(r *ring, open time.Duration) (old *epoch, err error) {
	live := r.live()
	if open < stallRenewed || len(live) < 2 {
		return nil, nil
	}
	room, err := r.room(live)
	if err != nil {
		return nil, err
	}
	return s.beginEpoch(r, room, nil)
}

// released takes the stuck epochs off the ring that nobody writes to any more.
// They are seen so twice: the call that came back may still be on its way out.
// The caller holds the mutex.
func (r *ring) released() (closing []*epoch) {
	kept := r.stuck[:0]
	for _, e := range r.stuck {
		switch settled := e.openFor() == 0; {
		case settled && e.settled:
			closing = append(closing, e)
			continue
		default:
			e.settled = settled
		}
		kept = append(kept, e)
	}
	clear(r.stuck[len(kept):])
	r.stuck = kept
	return closing
}

const stallRemedy = "find the thread that hangs (/proc/PID/task/*/stack of the sidecar) and what it waits for; take that map out of the configuration"

// stallReasons are what calls do to a ring that do not return. The caller holds
// the mutex.
func (r *ring) stallReasons(open time.Duration) (list []status.Reason) {
	add := func(format string, args ...any) {
		list = append(list, status.Reason{
			Code: status.RingStalled, Remedy: stallRemedy, Message: fmt.Sprintf("ring %s: ", r.config.Name) + fmt.Sprintf(format, args...),
		})
	}
	if open >= stallTold {
		add("a call into the kernel has not returned for %v, and nothing is published before it has", open.Round(100*time.Millisecond))
	}
	if n, bytes := r.stuckMemory(); n > 0 {
		end := ""
		if n >= maxStuck {
			end = ", and no further ring is begun"
		}
		add("calls into the kernel that do not return may write to %d replaced rings, whose memory (%s) is kept%s", n, size64(bytes), end)
	}
	return list
}
