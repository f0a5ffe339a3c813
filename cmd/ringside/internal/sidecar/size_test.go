// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"errors"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

func mapOf(entries, key, value int) *reader.Info {
	return &reader.Info{Name: "m", Pin: "/p/m", MaxEntries: entries, KeySize: key, ValueSize: value}
}

func TestRingFitsFourScans(t *testing.T) {
	for _, tt := range []struct {
		name  string
		infos []*reader.Info
		want  uint64
	}{
		{"none yet", nil, 1 << 20},
		{"small", []*reader.Info{mapOf(10, 4, 8)}, 1 << 20},
		{"the issue's", []*reader.Info{mapOf(65536, 4, 32)}, 16 << 20},
		{"the largest counts, not the sum", []*reader.Info{mapOf(65536, 4, 32), mapOf(65536, 4, 32), mapOf(10, 4, 8)}, 16 << 20},
		{"a million", []*reader.Info{mapOf(1_000_000, 4, 32)}, 256 << 20},
		{"few rows, but wide ones", []*reader.Info{mapOf(1, 4, 1<<20)}, 16 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &ring{config: config.Ring{Name: "main"}}
			c, err := r.room(tt.infos)
			if err != nil || powerOfTwo(c.DataBytes) != tt.want {
				t.Fatalf("got %s, %v; want %s", size64(powerOfTwo(c.DataBytes)), err, size64(tt.want))
			}
		})
	}
}

func TestWhatDoesNotFitIsRefusedWithTheArithmetic(t *testing.T) {
	automatic, small := &ring{config: config.Ring{Name: "main"}}, &ring{config: config.Ring{Name: "main", Bytes: 8192}}
	_, err := automatic.room([]*reader.Info{mapOf(10_000_000, 4, 32)})
	want := "/p/m: too large for the ring: 10000000 rows of 4 + 32 bytes, each aligned to 8, are 381.5MiB a scan, 4 scans are 1.5GiB, and a ring is at most 256MiB unless you say so; set --ring-bytes"
	if !errors.Is(err, shm.ErrTooLarge) || !strings.Contains(err.Error(), want) {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
	_, err = small.room([]*reader.Info{mapOf(1, 4, 4096)})
	want = "a row of 4 + 4096 bytes takes 4160 in a frame, a frame is at most an eighth of a ring of 8KiB, which is 1024 with its header; set --ring-bytes (rings[].bytes) to at least 64KiB"
	if !errors.Is(err, shm.ErrTooLarge) || !strings.Contains(err.Error(), want) {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
	if c, err := small.room([]*reader.Info{mapOf(10_000_000, 4, 32)}); err != nil || c.DataBytes != 8192 {
		t.Fatalf("a configured size is the user's choice: %+v, %v", c, err)
	}
}

func TestRoomForSources(t *testing.T) {
	infos := make([]*reader.Info, 300)
	for i := range infos {
		infos[i] = mapOf(1, 4, 8)
	}
	c, err := (&ring{config: config.Ring{Name: "main"}}).room(infos)
	if err != nil || c.Sources < 600 {
		t.Fatalf("%+v, %v", c, err)
	}
}
