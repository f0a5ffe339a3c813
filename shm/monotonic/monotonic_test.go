// SPDX-License-Identifier: Apache-2.0

package monotonic

import "testing"

// Between two looks at the kernel's clock, give or take what the first system call
// of a process may take.
func TestNowIsTheKernelsClock(t *testing.T) {
	const off = 100_000
	for range 100 {
		before := kernels()
		now := Now()
		if after := kernels(); now+off < before || now > after+off {
			t.Fatalf("%d, between the kernel's %d and %d", now, before, after)
		}
	}
}
