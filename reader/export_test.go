// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"time"
)

// NewPoolOnWallTime is NewPool for tests on synthetic time: a scan's CPU time is
// the time it takes, as if it did nothing but compute.
func NewPoolOnWallTime(o PoolOptions) *Pool {
	began := time.Now()
	return newPool(o, func() time.Duration { return time.Since(began) })
}

// Frame moves what is there into one frame, on the caller's thread: what Run does
// between two waits.
func (e *Events) Frame(ctx context.Context, dst EventDestination) (progress bool, err error) {
	return e.frame(ctx, dst)
}
