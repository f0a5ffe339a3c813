// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestMemory(t *testing.T) {
	d := runTiny(t, "memory")
	mustHave(t, d.Rows, []string{"contender"}, []string{"bytes", "minor_faults", "gc_cycles", "gc_pause_us", "rounds"})
	if len(d.Rows) < 4 { // and huge pages, where there are some
		t.Fatalf("%d rows", len(d.Rows))
	}
	if cold, warm := d.Rows[0]["minor_faults"].(float64), d.Rows[1]["minor_faults"].(float64); cold == 0 || warm > cold {
		t.Errorf("%v faults without MAP_POPULATE, %v with it", cold, warm)
	}
}
