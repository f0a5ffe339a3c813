// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

// fan is a path of rows to a number of consumers.
type fan struct {
	*bench
	fanPlan
	*native
	path string
	n    int
	from *filled   // of the whole path
	rows *inMemory // of delivery alone, of any size
	used int       // sockets' names so far
}

// frameRows are what one frame carries where we choose it: enough that what a
// frame costs does not count, and little enough for every ring.
const frameRows = 4096

// sides starts all contenders of the path. The first is what others are held
// against.
func (f *fan) sides(ctx context.Context) ([]*side, error) {
	makers := []func(context.Context) (*side, error){f.rings(byRingGo), f.socketsIn(bySocketGo)}
	if f.native.consumer != "" {
		makers = []func(context.Context) (*side, error){f.socketsIn(bySocketC), f.socketsIn(bySocketGo), f.rings(byRingC), f.rings(byRingGo)}
	} else {
		makers[0], makers[1] = makers[1], makers[0]
	}
	switch f.path {
	case pathWhole:
		hash := subjects()[0]
		var err error
		if f.from, err = f.fill(hash); err != nil {
			return nil, err
		}
		makers = append([]func(context.Context) (*side, error){f.batches}, makers...)
	case pathSizes, pathDelivery:
		f.rows = layOut(f.entries, frameRows)
		if f.path == pathDelivery {
			makers = append(makers, f.shmipcs)
		} else if f.native.consumer != "" { // those in C, which the figure is about
			makers = []func(context.Context) (*side, error){f.socketsIn(bySocketC), f.rings(byRingC)}
		}
		if f.native.floor != "" {
			makers = append(makers, f.floors)
		}
		if f.native.iceoryx != "" {
			makers = append(makers, f.iceoryxes)
		}
	}
	var list []*side
	for _, start := range makers {
		s, err := start(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// start runs consumers, one after the other, so that each can be met.
func (f *fan) start(ctx context.Context, s *side, run func(i int) (*child, error), met func(i int) error) error {
	for i := range f.n {
		c, err := run(i)
		if err != nil {
			return err
		}
		s.consumers = append(s.consumers, c)
		if _, err := c.tell(ctx, sayAttach); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if met == nil {
			continue
		}
		if err := met(i); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// goOrC runs a consumer in the language of the contender.
func (f *fan) goOrC(ctx context.Context, inC bool, via, at string) (*child, error) {
	if inC {
		return f.startProgram(ctx, f.native.consumer, via, at)
	}
	return f.startSelf(ctx, consumerVerb, "--via", via, "--at", at)
}

// batches: consumers that each read the map.
func (f *fan) batches(ctx context.Context) (*side, error) {
	chunk, err := tune(f.from.entries, func(chunk int) bare { return newRawBatch(f.from.Map, keyBytes, valueBytes, chunk).pass })
	if err != nil {
		return nil, err
	}
	s := &side{name: byRawBatch}
	return s, f.start(ctx, s, func(int) (*child, error) {
		return f.startSelf(ctx, consumerVerb, "--via", viaBatch, "--at", f.from.pin, "--chunk", fmt.Sprint(chunk), "--every", f.every.String())
	}, nil)
}

// rings: one ring for all consumers.
func (f *fan) rings(name string) func(context.Context) (*side, error) {
	return func(ctx context.Context) (*side, error) {
		r, err := f.newRingAt(f.socketPath(), f.entries*(keyBytes+valueBytes))
		if err != nil {
			return nil, err
		}
		s := &side{name: name}
		publish, err := f.intoRing(r)
		if err != nil {
			return nil, err
		}
		s.publish = withRinging(r.Publisher, paced(f.every, r.Beat, publish))
		return s, f.start(ctx, s, func(int) (*child, error) { return f.goOrC(ctx, name == byRingC, viaRing, r.socket) }, nil)
	}
}

// withRinging adds what waking consumers takes, which more than a few are after
// the scan was handed over. Where they are woken before that, it counts twice.
func withRinging(p *shm.Publisher, publish publishing) publishing {
	return func(ctx context.Context, first, last uint64) (handover, error) {
		before := p.RingingTime()
		out, err := publish(ctx, first, last)
		out.took += p.RingingTime() - before
		return out, err
	}
}

// intoRing brings one scan into the ring, from the map or from memory.
func (f *fan) intoRing(r *ring) (func(context.Context, uint64) (int, error), error) {
	if f.rows != nil {
		into, err := r.addSource(reader.Info{Name: fannedSource, KeySize: keyBytes, ValueSize: valueBytes, MapValueSize: valueBytes, MaxEntries: f.entries})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, scan uint64) (int, error) { return f.rows.send(ctx, ringCarrier{into}, scan) }, nil
	}
	s, err := f.publish(r, f.from.pin, reader.Options{})
	if err != nil {
		return nil, err
	}
	into := &numbered{published: s.into}
	return func(ctx context.Context, scan uint64) (int, error) {
		into.scan = scan
		stats, err := s.Scan(ctx, into)
		return stats.Rows, err
	}, nil
}

// socketsIn: a Unix stream socket for each consumer.
func (f *fan) socketsIn(name string) func(context.Context) (*side, error) {
	return func(ctx context.Context) (*side, error) {
		path := f.socketPath()
		listener, err := f.listenSockets(path)
		if err != nil {
			return nil, err
		}
		to := &sockets{}
		s := &side{name: name}
		publish, err := f.through(to)
		if err != nil {
			return nil, err
		}
		s.publish = paced(f.every, func() {}, publish)
		return s, f.start(ctx, s, func(int) (*child, error) { return f.goOrC(ctx, name == bySocketC, viaSocket, path) },
			func(int) error { return to.accept(f.bench, listener) })
	}
}

// through brings one scan to a carrier, from the map by way of our own memory, or
// from memory.
func (f *fan) through(to carrier) (func(context.Context, uint64) (int, error), error) {
	if f.rows != nil {
		return func(ctx context.Context, scan uint64) (int, error) { return f.rows.send(ctx, to, scan) }, nil
	}
	s, err := reader.Open(f.from.pin, reader.Options{})
	if err != nil {
		return nil, err
	}
	f.later(s.Close)
	const most = 256 << 10 // a frame stays in the cache on its way from the map to the last socket
	by := &carried{private: newPrivate(most, most), to: to}
	return func(ctx context.Context, scan uint64) (int, error) {
		by.ctx, by.scan = ctx, scan
		stats, err := s.Scan(ctx, by)
		return stats.Rows, errOr(err, by.err)
	}, nil
}

// shmipcs: a session with each consumer.
func (f *fan) shmipcs(ctx context.Context) (*side, error) {
	to := &shmipcs{}
	s := &side{name: byShmipc}
	publish, err := f.through(to)
	if err != nil {
		return nil, err
	}
	s.publish = paced(f.every, func() {}, publish)
	paths := make([]string, f.n)
	return s, f.start(ctx, s, func(i int) (*child, error) {
		paths[i] = f.socketPath()
		return f.startSelf(ctx, consumerVerb, "--via", viaShmipc, "--at", paths[i])
	}, func(i int) error { return to.connect(f.bench, paths[i], f.rows) })
}

// socketPath is one that nobody uses yet.
func (f *fan) socketPath() string {
	f.used++
	return filepath.Join(f.home.Dir(), fmt.Sprintf("%s-%d-%d-%d.sock", f.path, f.entries, f.n, f.used))
}
