// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/shm"
)

// Contenders to the ring: other ways for several producers to hand batches on.
const (
	byChannel = "channel"   // a Go channel of descriptors
	byQueue   = "cas-queue" // a bounded queue of them without a lock
)

// producers is how many of them hand on at once.
func producers() []int { return []int{1, 2, 4} }

const (
	handedRows  = 64   // in a batch
	handedSlots = 1024 // that a channel or a queue has room for
	handed      = 4096 // batches a producer, in a pass
)

// descriptor says where a batch is: as much as a frame's header tells.
type descriptor [8]uint64

// handOn is what one producer does for one batch.
type handOn func(batch uint64) error

// contest races the ring with the others, for each number of producers.
func (b *bench) contest(ctx context.Context, share int) ([]ringRow, error) {
	var list []interleave.Contender[pass]
	var rows []ringRow
	for _, n := range producers() {
		ring, err := b.claimers(ctx, n)
		if err != nil {
			return nil, err
		}
		for _, c := range []struct {
			name string
			pass func(reps int) (pass, error)
		}{
			{byRing, func(reps int) (pass, error) { return produce(ring, reps) }},
			{byChannel, func(reps int) (pass, error) { return produceInto(newChannel(), n, reps) }},
			{byQueue, func(reps int) (pass, error) { return produceInto(newQueue(handedSlots), n, reps) }},
		} {
			rows = append(rows, ringRow{Contender: c.name, Producers: n, BatchRows: handedRows})
			list = append(list, interleave.Contender[pass]{Name: fmt.Sprintf("%s, %d producers", c.name, n),
				Pass: func(_ context.Context, reps int) (pass, error) { return c.pass(reps) }})
		}
	}
	samples, err := interleave.Run(ctx, list, b.rounds("several producers", share))
	if err != nil {
		return nil, err
	}
	for i := range rows {
		took := stat.By(samples[i], pass.nsPerRow)
		rows[i].NSPerRow, rows[i].P10, rows[i].P90, rows[i].Rounds = took.Median, took.P10, took.P90, took.N
		rows[i].NSPerBatch = took.Median * handedRows
		rows[i].BatchesPerSecond = 1e9 / stat.By(samples[i], pass.wallNS).Median
	}
	return rows, nil
}

// claimers are producers of one ring with a consumer that is awake.
func (b *bench) claimers(ctx context.Context, n int) ([]handOn, error) {
	const rowBytes = keyBytes + valueBytes
	ring, err := b.newPublisher(b.entries * rowBytes)
	if err != nil {
		return nil, err
	}
	if _, _, err := ring.Attach(shm.StartHead, shm.AnySource, 0); err != nil {
		return nil, err
	}
	content := shm.Content{Kind: shm.KindRows, Rows: handedRows, Bytes: handedRows * rowBytes,
		KeyStride: keyBytes, ValuesOffset: handedRows * keyBytes, ValueStride: valueBytes}
	var all []handOn
	for i := range n {
		p, err := ring.AddSource(shm.SourceInfo{Name: fmt.Sprintf("claims%d", i), KeySize: keyBytes, ValueSize: valueBytes})
		if err != nil {
			return nil, err
		}
		all = append(all, func(uint64) error {
			if _, err := p.Claim(ctx, content.Bytes, content.Bytes); err != nil {
				return err
			}
			p.Commit(content)
			return nil
		})
	}
	return all, nil
}

// produce lets each producer hand on its share, side by side. The time is that of
// their threads.
func produce(producers []handOn, reps int) (pass, error) {
	p := pass{reps: reps, rows: reps * handed * len(producers) * handedRows}
	var all sync.WaitGroup
	var took atomic.Int64
	errs := make(chan error, len(producers))
	start := time.Now()
	for _, put := range producers {
		all.Go(func() {
			runtime.LockOSThread() // processorTime is a thread's
			defer runtime.UnlockOSThread()
			began := processorTime()
			var err error
			for batch := uint64(0); err == nil && batch < uint64(reps*handed); batch++ {
				err = put(batch)
			}
			took.Add(int64(processorTime() - began))
			errs <- err
		})
	}
	all.Wait()
	p.wall, p.took = time.Since(start), time.Duration(took.Load())
	for range producers {
		if err := <-errs; err != nil {
			return p, err
		}
	}
	return p, nil
}

// belt carries descriptors to one consumer.
type belt interface {
	put(d *descriptor)
	get() descriptor
}

// produceInto lets producers fill a belt, which a consumer empties beside them: it
// must, for these have no room for what nobody takes.
func produceInto(b belt, n, reps int) (pass, error) {
	var all []handOn
	for range n {
		var d descriptor
		all = append(all, func(batch uint64) error {
			d[0] = batch
			b.put(&d)
			return nil
		})
	}
	emptied := make(chan uint64)
	go func() {
		sum := uint64(0)
		for range n * reps * handed {
			sum += b.get()[0]
		}
		emptied <- sum
	}()
	p, err := produce(all, reps)
	each := uint64(reps * handed)
	if sum := <-emptied; sum != uint64(n)*each*(each-1)/2 {
		return p, fmt.Errorf("descriptors were lost: they add up to %d", sum)
	}
	return p, err
}

// channel is a belt.
type channel chan descriptor

func newChannel() channel { return make(channel, handedSlots) }

func (c channel) put(d *descriptor) { c <- *d }
func (c channel) get() descriptor   { return <-c }

// queue is the bounded queue for many producers that Dmitry Vyukov describes: a
// slot's turn says whether it is free or full, and producers take the tail by
// compare-and-swap.
type queue struct {
	slots []slot
	_     [64]byte // neighbours would share the line
	tail  atomic.Uint64
	_     [64]byte
	head  uint64 // the one consumer's
}

type slot struct {
	turn  atomic.Uint64 // n: free for the n-th; n+1: holds it
	value descriptor
}

func newQueue(slots int) *queue {
	q := &queue{slots: make([]slot, slots)}
	for i := range q.slots {
		q.slots[i].turn.Store(uint64(i))
	}
	return q
}

func (q *queue) put(d *descriptor) {
	for {
		at := q.tail.Load()
		s := &q.slots[at%uint64(len(q.slots))]
		switch turn := s.turn.Load(); {
		case turn == at && q.tail.CompareAndSwap(at, at+1):
			s.value = *d
			s.turn.Store(at + 1)
			return
		case turn < at:
			runtime.Gosched() // full
		}
	}
}

func (q *queue) get() descriptor {
	s := &q.slots[q.head%uint64(len(q.slots))]
	for s.turn.Load() != q.head+1 {
		runtime.Gosched()
	}
	d := s.value
	s.turn.Store(q.head + uint64(len(q.slots)))
	q.head++
	return d
}
