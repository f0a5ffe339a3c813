// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"time"
)

// engine is one way to read a map. It is used by one goroutine at a time.
type engine interface {
	// scan makes one pass. It commits the frame that ends the scan through p, or
	// returns why it could not; an open claim is aborted before it returns. An
	// error that wraps errEngine means that another engine may do better.
	scan(ctx context.Context, dst Destination, p *pass) error
	close() error
}

// errEngine marks failures of the method, not of the map or the destination.
var errEngine = errors.New("engine failed")

// errMoved ends a scan that may have missed rows. The engine knows another way:
// a new scan is begun.
var errMoved = errors.New("keys were overwritten while the map was read in place")

// pass is the state of one scan. It runs on one thread from begin on.
type pass struct {
	stats ScanStats
	ended bool

	mark    time.Duration // threadCPU before the call that held measures, or earlier
	longest time.Duration // of all scans so far
	calls   *histogram    // what the single calls took; nil: nobody wants to know
}

// begin makes ready for a scan. What is known of the source stays.
func (p *pass) begin(scan uint64) {
	*p = pass{stats: ScanStats{Scan: scan}, mark: threadCPU(), longest: p.longest, calls: p.calls}
}

// commit publishes n rows of a claim that was laid out for room rows.
func (p *pass) commit(dst Destination, buf []byte, rows layout, room, n int, last bool) {
	keys, values, length := rows.settle(buf, room, n)
	p.publish(dst, n, keys, values, length, last)
}

// publish commits the n rows of a claim that are laid out already.
func (p *pass) publish(dst Destination, n int, keys, values Column, length int, last bool) {
	dst.Commit(Frame{
		Rows: n, Length: length, Keys: keys, Values: values,
		Scan: p.stats.Scan, TimeNS: nowNS(),
		First: p.stats.Frames == 0, Last: last, Keyframe: true,
	})
	p.stats.Rows += n
	p.stats.Frames++
	p.stats.Bytes += int64(length)
	p.ended = last
}

// entering is called before a call into the kernel whose length matters, unless
// the scan has made none before it. Without it the call is taken to have been
// longer than it was, if the thread lost its processor meanwhile, never shorter.
func (p *pass) entering() { p.mark = threadCPU() }

// held notes one stay in the kernel by the time that has passed. What of it the
// thread was not running is taken off where it matters: on a new maximum.
func (p *pass) held(ns int64) {
	took := time.Duration(ns)
	if took > p.longest {
		now := threadCPU()
		if ran := now - p.mark; ran > 0 { // else another thread: nobody had locked us to ours
			took = min(took, ran)
		}
		p.mark, p.longest = now, max(p.longest, took)
	}
	p.stats.HoldMax = max(p.stats.HoldMax, took)
}

// called is held for one of the short calls that pools are sized by.
func (p *pass) called(ns int64) {
	if p.calls != nil {
		p.calls.add(time.Duration(ns))
	}
	p.held(ns)
}
