// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
)

// tune finds the chunk size with which a batch loop reads a map fastest. A
// contender that is badly set up is no contender.
func tune(entries int, with func(chunk int) bare) (best int, err error) {
	const tries, enough, most = 5, 20 * time.Millisecond, 1 << 18
	fastest := 0.0
	for chunk := 256; chunk <= min(4*entries, most); chunk *= 4 {
		read := with(min(chunk, entries))
		var took []float64
		for begin := time.Now(); len(took) == 0 || len(took) < tries && time.Since(begin) < enough; {
			start := time.Now()
			if _, err = read(); err != nil {
				break
			}
			took = append(took, float64(time.Since(start)))
		}
		if tooSmall(err) {
			continue // a bucket holds more rows
		}
		if err != nil {
			return 0, err
		}
		if m := stat.Of(took).Median; best == 0 || m < fastest {
			best, fastest = min(chunk, entries), m
		}
	}
	if best == 0 {
		return 0, fmt.Errorf("no chunk size holds a bucket of the map: %w", err)
	}
	return best, nil
}

// copyArray is a memcpy of an array's own pages, mapped once.
func copyArray(b *bench, f *filled) (bare, error) {
	size := f.entries * f.valueSize
	mem, err := unix.Mmap(f.FD(), 0, (size+4095)&^4095, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map the array: %w", err)
	}
	b.later(func() error { return unix.Munmap(mem) })
	to := newPrivate(size, size).mem
	return copying(to, mem[:size], f.entries), nil
}

// copyPrivate copies as many bytes as the map has in values, from and to private
// memory.
func copyPrivate(f *filled) bare {
	size := f.entries * f.valueSize
	return copying(newPrivate(size, size).mem, newPrivate(size, size).mem, f.entries)
}

func copying(to, from []byte, rows int) bare {
	return func() (int, error) {
		if copy(to, from) != len(from) {
			return 0, errors.New("short copy")
		}
		return rows, nil
	}
}
