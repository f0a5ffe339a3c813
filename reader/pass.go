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

// pass is the state of one scan.
type pass struct {
	clock *clock
	stats ScanStats
	ended bool
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
		Scan: p.stats.Scan, TimeNS: p.clock.now(),
		First: p.stats.Frames == 0, Last: last,
	})
	p.stats.Rows += n
	p.stats.Frames++
	p.stats.Bytes += int64(length)
	p.ended = last
}

// held notes one stay in the kernel.
func (p *pass) held(ns int64) { p.stats.HoldMax = max(p.stats.HoldMax, time.Duration(ns)) }
