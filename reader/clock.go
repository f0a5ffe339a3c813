// SPDX-License-Identifier: Apache-2.0

package reader

import "github.com/ringside-bpf/ringside/shm/monotonic"

// nowNS is CLOCK_MONOTONIC in nanoseconds; signed, because differences are made of it.
func nowNS() int64 { return int64(monotonic.Now()) }
