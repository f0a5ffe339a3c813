// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

// value is what the experiments' maps hold, 32 bytes behind a key of 4.
type value [4]uint64

// hands are a consumer's: it attached like any other and looks at every row of
// one source where it lies, typed, in a lease.
type hands struct {
	sub   *ringside.Subscription
	read  func(*ringside.Batch)
	rows  int
	sum   uint64 // of what was read, so that reading is not optimised away
	ended bool   // a scan
	lost  uint64
}

// K is the key's type, which for a trie is longer.
func newHands[K any](sub *ringside.Subscription, source string, perCPU bool) (h *hands, err error) {
	h = &hands{sub: sub}
	var walk func(*ringside.Batch)
	if perCPU {
		walk, err = walkPerCPU[K](h, source)
	} else {
		walk, err = walkRows[K](h, source)
	}
	h.read = func(batch *ringside.Batch) {
		if batch.Kind != ringside.KindRows {
			h.lost += batch.Lost.Rows
			return
		}
		walk(batch)
		h.rows += batch.Rows
		h.ended = batch.Last
	}
	return h, err
}

func walkRows[K any](h *hands, source string) (func(*ringside.Batch), error) {
	rows, err := ringside.RowsOf[K, value](h.sub, source)
	return func(batch *ringside.Batch) {
		sum := uint64(0)
		for _, v := range rows.In(batch) {
			sum += v[0]
		}
		h.sum += sum
	}, err
}

func walkPerCPU[K any](h *hands, source string) (func(*ringside.Batch), error) {
	rows, err := ringside.PerCPURowsOf[K, value](h.sub, source)
	return func(batch *ringside.Batch) {
		sum := uint64(0)
		for _, v := range rows.In(batch) {
			for cpu := range v.Len() {
				sum += v.On(cpu)[0]
			}
		}
		h.sum += sum
	}, err
}

// scan takes one scan that was published, and says how many rows it had.
func (h *hands) scan(ctx context.Context) (int, error) {
	h.rows, h.lost, h.ended = 0, 0, false
	for !h.ended {
		valid, err := h.sub.View(ctx, h.read)
		if err != nil {
			return h.rows, err
		}
		if !valid || h.lost > 0 {
			return h.rows, fmt.Errorf("%w: %d rows", errOvertaken, h.lost)
		}
	}
	return h.rows, nil
}

// errOvertaken cannot happen where reader and consumer take turns.
var errOvertaken = errors.New("the ring overtook a consumer that was waited for")
