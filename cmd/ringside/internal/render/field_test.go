// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/shm/schema"
)

func TestFieldOf(t *testing.T) {
	src := flows()
	row := flow(7, 1<<40, "curl")
	for path, want := range map[string]uint64{
		"bytes": 1 << 40, "value.bytes": 1 << 40, "key": 7, "flags.window": 700, "value.flags.ack": 1,
		"v4": 0x00500035, "ports[1]": 0x50, "value.times[0]": 7,
	} {
		f, err := FieldOf(src, path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if got := f.Of(row[0], row[1]); got != want {
			t.Errorf("%s is %d, want %d", path, got, want)
		}
	}
	for _, path := range []string{"value", "nope", "comm", "times", "times[2]", "times[-1]", "times[0].x", "flags", "bytes.x", "key.x", "ports[1", "flags.window[0]"} {
		if f, err := FieldOf(src, path); err == nil {
			t.Errorf("%q is taken for %+v", path, f)
		}
	}
	if _, err := FieldOf(&ringside.Source{Name: "raw"}, "bytes"); err == nil {
		t.Error("a field of bytes without types")
	}
}

// Numbers sort as what they mean, and per-CPU ones are added up.
func TestFieldOrder(t *testing.T) {
	doubles := []float64{math.Inf(-1), -2.5, -1, 0, 1e-9, 3, math.Inf(1)}
	ints := []int64{math.MinInt64, -2, -1, 0, 5, math.MaxInt64}
	float, signed := Field{typ: &schema.Type{Kind: schema.Float, Size: 8}}, Field{typ: &schema.Type{Kind: schema.Int, Size: 8}}
	var orders []uint64
	for _, d := range doubles {
		orders = append(orders, float.Order(math.Float64bits(d)))
	}
	if !slices.IsSorted(orders) {
		t.Errorf("doubles: %x", orders)
	}
	orders = nil
	for _, i := range ints {
		orders = append(orders, signed.Order(uint64(i)))
	}
	if !slices.IsSorted(orders) {
		t.Errorf("ints: %x", orders)
	}
	narrow := Field{typ: &schema.Type{Kind: schema.Int, Size: 4}, value: true, cpus: 2}
	cpus := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(math.MaxUint32)), 3) // -1 and 3
	if got := int64(narrow.Of(nil, cpus)); got != 2 {
		t.Errorf("-1 and 3 are %d", got)
	}
}

func TestFieldChange(t *testing.T) {
	counter, gauge := Field{typ: u64}, Field{typ: &schema.Type{Kind: schema.Int, Size: 8}}
	for _, tt := range []struct {
		f           *Field
		now, before uint64
		ok          bool
		want        float64
	}{
		{&counter, 10, 4, true, 6}, {&counter, 4, 10, true, 4}, {&counter, 4, 0, false, 4},
		{&gauge, 4, 10, true, -6}, {&gauge, 4, 0, false, 4},
	} {
		if got := tt.f.Change(tt.now, tt.before, tt.ok); got != tt.want {
			t.Errorf("from %d to %d: %v, want %v", tt.before, tt.now, got, tt.want)
		}
	}
}
