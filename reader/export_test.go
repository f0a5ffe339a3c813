// SPDX-License-Identifier: Apache-2.0

package reader

import "time"

// NewPoolOnWallTime is NewPool for tests on synthetic time: a scan's CPU time is
// the time it takes, as if it did nothing but compute.
func NewPoolOnWallTime(o PoolOptions) *Pool {
	began := time.Now()
	return newPool(o, func() time.Duration { return time.Since(began) })
}
