// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/lab"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

// pathEvents is from a ringbuf that is full.
const pathEvents = "events"

// recordInRingbuf is a record with the kernel's header, eventInRing one with its
// entry in the table of a frame.
const (
	recordInRingbuf = lab.RecordBytes + 8
	eventInRing     = lab.RecordBytes + 8
)

// emptied is what one pass measured.
type emptied struct {
	fanned
	wall  time.Duration
	every int // events that each consumer was given, or the fewest
	full  int // how often the emitter found no room
}

// publisherNSPerEvent is for an event, to however many it goes.
func (e emptied) publisherNSPerEvent() float64 { return perRow(e.publisher, e.every) }

func (e emptied) perSecond() float64 { return float64(e.every) / e.wall.Seconds() }

// eventPass is one pass of a contender.
type eventPass = func(context.Context, int) (emptied, error)

// measureEvents races one direct reader of a ringbuf against a ring with consumers:
// while the ringbuf is written, and with one that is full.
func (b *bench) measureEvents(ctx context.Context, share int) (rows []fanoutRow, figures []figure, err error) {
	for _, of := range []struct {
		path   string
		direct func() (eventPass, error)
		ours   func(context.Context) (eventPass, error)
	}{{pathSustained, b.sustainDirectly, b.sustainFanOut}, {pathEvents, b.readDirectly, b.fanOutEvents}} {
		direct, err := of.direct()
		if err != nil {
			return nil, nil, err
		}
		ours, err := of.ours(ctx)
		if err != nil {
			return nil, nil, err
		}
		list := []interleave.Contender[emptied]{{Name: byDirect, Pass: direct}, {Name: byRingGo, Pass: ours}}
		o := b.rounds(of.path, share)
		o.PassFor = 0 // a pass has a length of its own
		samples, err := interleave.Run(ctx, list, o)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, eventRows(of.path, list, samples)...)
		figures = append(figures, eventFigures(of.path, samples)...)
	}
	return rows, figures, nil
}

func eventRows(path string, list []interleave.Contender[emptied], samples [][]emptied) (rows []fanoutRow) {
	cpu := func(e emptied) float64 { return e.nsPerRow() }
	for i, c := range list {
		took, lost := stat.By(samples[i], cpu), make([]fanned, len(samples[i]))
		for j, s := range samples[i] {
			lost[j] = s.fanned
		}
		rate := stat.By(samples[i], emptied.perSecond)
		rows = append(rows, fanoutRow{Path: path, Contender: c.Name, Consumers: []int{1, figureConsumers}[i],
			CPUPerRow: took.Median, P10: took.P10, P90: took.P90, Lost: lostPercent(lost), Rounds: took.N,
			PublisherCPU:  stat.By(samples[i], func(e emptied) float64 { return e.publisherNS() }).Median,
			Cheaper:       stat.Ratio(stat.Each(samples[0], cpu), stat.Each(samples[i], cpu)).Median,
			RowsPerSecond: rate.Median, RateP10: rate.P10, RateP90: rate.P90,
			Full: stat.By(samples[i], func(e emptied) float64 { return float64(e.full) }).Median})
	}
	return rows
}

// eventFigures: by the clock, and by what the one who reads the ringbuf spends: the
// rate that it keeps up where consumers have CPUs of their own.
func eventFigures(path string, samples [][]emptied) []figure {
	rate := stat.Ratio(stat.Each(samples[1], emptied.perSecond), stat.Each(samples[0], emptied.perSecond))
	name := fmt.Sprintf("events to each of %d consumers, rate of one direct reader's", figureConsumers)
	if path == pathSustained {
		return []figure{atLeast(name, rate, 1, times)}
	}
	drained := atLeast(name+" who both drain a full ringbuf", rate, 1, times)
	if cpus := runtime.NumCPU(); cpus <= figureConsumers {
		drained.Floor = fmt.Sprintf("%d CPUs for %d processes", cpus, figureConsumers+1)
	}
	alone := stat.Ratio(stat.Each(samples[0], func(e emptied) float64 { return e.nsPerRow() }), stat.Each(samples[1], emptied.publisherNSPerEvent))
	return []figure{drained, atLeast("the same by the processor time of whoever reads the ringbuf", alone, 1, times)}
}

// burstTimes is how many times the entries of other experiments are drained: what
// it takes to begin with it should not count.
const burstTimes = 8

// newBurst makes a ringbuf with room for a burst, and what fills it.
func (b *bench) newBurst(name string) (m *ebpf.Map, pin string, fill func() error, err error) {
	room := max(uint32(burstTimes*b.entries*recordInRingbuf+1), uint32(os.Getpagesize()))
	m, pin, err = b.newMap(name, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 1 << bits.Len32(room)})
	if err != nil {
		return nil, "", nil, err
	}
	e, err := lab.OpenEmitter(m)
	if err != nil {
		return nil, "", nil, err
	}
	b.later(e.Close)
	return m, pin, func() error {
		if sent, err := e.Burst(burstTimes * b.entries); err != nil || sent < burstTimes*b.entries {
			return errOr(err, lab.ErrNoRoom)
		}
		return nil
	}, nil
}

// readDirectly is a ringbuf's only reader, as its documentation shows it.
func (b *bench) readDirectly() (eventPass, error) {
	m, _, fill, err := b.newBurst("burst_direct")
	if err != nil {
		return nil, err
	}
	r, err := ringbuf.NewReader(m)
	if err != nil {
		return nil, err
	}
	b.later(r.Close)
	sum := uint64(0)
	var record ringbuf.Record
	return func(context.Context, int) (e emptied, err error) {
		if err := fill(); err != nil {
			return e, err
		}
		r.SetDeadline(time.Now()) // all is there: do not wait
		e.meant = burstTimes * b.entries
		start, before := time.Now(), processTime()
		for e.rows < e.meant {
			if err := r.ReadInto(&record); errors.Is(err, os.ErrDeadlineExceeded) {
				continue // it said so although there are records
			} else if err != nil {
				return e, err
			}
			sum += binary.LittleEndian.Uint64(record.RawSample)
			e.rows++
		}
		e.wall, e.all, e.every = time.Since(start), processTime()-before, e.rows
		return e, nil
	}, nil
}

// fanOutEvents is a ringbuf whose reader rests while it is filled, and a ring with
// consumers that wait.
func (b *bench) fanOutEvents(ctx context.Context) (eventPass, error) {
	_, pin, fill, err := b.newBurst("burst")
	if err != nil {
		return nil, err
	}
	// Hardly larger than a burst: consumers have seen all its pages after two.
	t, err := b.tapEvents(ctx, pin, "drained.sock", burstTimes*b.entries*eventInRing/4)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, _ int) (emptied, error) {
		if err := fill(); err != nil {
			return emptied{}, err
		}
		defer t.events.SetActive(false)
		return t.burst(ctx, burstTimes*b.entries, func() { t.events.SetActive(true) })
	}, nil
}

// tap is a ringbuf that is emptied into a ring, and the consumers of that.
type tap struct {
	*side
	ring   *ring
	events *reader.Events
}

// tapEvents starts a tap that rests. Whoever it starts runs where the calling
// thread may.
func (b *bench) tapEvents(ctx context.Context, pin, socket string, ringBytes int) (*tap, error) {
	r, err := b.newRingAt(filepath.Join(b.home.Dir(), socket), ringBytes)
	if err != nil {
		return nil, err
	}
	into, err := r.AddSource(shm.SourceInfo{Name: pathEvents, MapType: uint32(ebpf.RingBuf), Flags: shm.SourceEvents})
	if err != nil {
		return nil, err
	}
	var here unix.CPUSet
	if err := unix.SchedGetaffinity(0, &here); err != nil {
		return nil, err
	}
	events, err := reader.OpenEvents(pin, reader.EventOptions{CPUs: cpusIn(&here)})
	if err != nil {
		return nil, err
	}
	b.later(events.Close)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- events.Run(running, &packed{into: into}) }()
	b.later(func() error {
		stop()
		<-ended // with the context's error
		return nil
	})
	s := &side{name: byRingGo}
	f := &fan{bench: b, n: figureConsumers}
	return &tap{s, r, events}, f.start(ctx, s, func(int) (*child, error) { return f.goOrC(ctx, false, viaEvents, r.socket) }, nil)
}

// burst lets the consumers have so many events, and waits for the last of them.
func (s *tap) burst(ctx context.Context, events int, begin func()) (e emptied, err error) {
	s.ring.Beat()
	s.scan += uint64(events) // events are counted, there are no scans
	order := fmt.Sprint(sayTake, " ", s.scan)
	for _, c := range s.consumers {
		if err := c.say(order); err != nil {
			return e, err
		}
	}
	start, publisher := time.Now(), processTime()
	begin()
	e.every = events
	for _, c := range s.consumers {
		got, took, err := c.took(ctx, order)
		if err != nil {
			return e, err
		}
		e.rows += got
		e.all += took
		e.every = min(e.every, got)
	}
	e.wall, e.publisher, e.meant = time.Since(start), processTime()-publisher, events*len(s.consumers)
	e.all += e.publisher
	return e, nil
}

// packed is a reader.EventDestination in a ring, as the sidecar has it.
type packed struct {
	into   *shm.Producer
	packer shm.EventPacker
}

// Largest implements reader.EventDestination.
func (p *packed) Largest() int { return (p.into.Largest() - shm.EventBytes(0)) &^ 7 }

// Claim implements reader.EventDestination.
func (p *packed) Claim(ctx context.Context, least, most int) error {
	b, err := p.into.Claim(ctx, least, most)
	if err == nil {
		p.packer.Reset(b)
	}
	return err
}

// Add implements reader.EventDestination.
func (p *packed) Add(events []byte, length, stride, count int) int {
	return p.packer.Add(events, length, stride, count)
}

// Commit implements reader.EventDestination.
func (p *packed) Commit() { p.into.Commit(p.packer.Content()) }

// Abort implements reader.EventDestination.
func (p *packed) Abort() { p.into.Abort() }
