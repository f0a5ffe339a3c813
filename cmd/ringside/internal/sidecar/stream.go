// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"errors"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

// stream is a ringbuf that is emptied into a ring: what a task of the pool is to
// a map. It has a thread of its own, because it waits for the kernel.
type stream struct {
	stop context.CancelFunc
	done chan struct{} // closed when nothing runs any more and all is given back

	// Guarded by the sidecar's mutex.
	events *reader.Events // another one when the pin's map was replaced
	active bool
	cpu    time.Duration // of those that were replaced
}

// beginStream starts to empty a ringbuf.
func (s *Sidecar) beginStream(x *source, opened *reader.Events) {
	ctx, stop := context.WithCancel(context.Background())
	st := &stream{stop: stop, done: make(chan struct{}), events: opened}
	s.mu.Lock()
	x.stream, x.problem, x.backoff = st, nil, 0
	st.setActive(x.ring.active)
	s.mu.Unlock()
	s.logReading(x, opened.Info())
	go func() {
		defer close(st.done)
		s.pour(ctx, x, st, opened)
	}()
}

// pour empties one ringbuf after the other that is found under the pin.
func (s *Sidecar) pour(ctx context.Context, x *source, st *stream, e *reader.Events) {
	dst := &eventDestination{dst: x.dst}
	open := func() (*reader.Events, error) { return reader.OpenEvents(x.pin, x.eventOptions(&s.config.Reader)) }
	for {
		err := e.Run(ctx, dst)
		if ctx.Err() == nil && !errors.Is(err, reader.ErrReplaced) { // waiting itself has failed
			s.log.Error().Err(err).Str("source", x.name).Str("pin", x.pin).Msg("the ringbuf is not read any more")
			<-ctx.Done()
		}
		if ctx.Err() != nil {
			s.letGo(x, e)
			return
		}
		next, err := replace(s, x, open)
		if err != nil {
			continue // the old one is emptied on, and the pin looked at again
		}
		s.mu.Lock()
		st.cpu += e.Stats().CPU
		st.events = next
		next.SetActive(st.active)
		s.mu.Unlock()
		s.letGo(x, e)
		e = next
	}
}

func (s *Sidecar) letGo(x *source, e *reader.Events) {
	if err := e.Close(); err != nil {
		s.log.Error().Err(err).Str("source", x.name).Msg("a ringbuf was not given back")
	}
}

// setActive switches between emptying and leaving alone. The caller holds the
// sidecar's mutex.
func (st *stream) setActive(active bool) {
	st.active = active
	st.events.SetActive(active)
}

// streams are all that there are. The caller holds the mutex.
func (s *Sidecar) streams() (list []*stream) {
	for _, r := range s.rings {
		for _, x := range r.sources {
			if x.stream != nil {
				list = append(list, x.stream)
			}
		}
	}
	return list
}

// ration lets the streams wait awake with what the duty leaves: moving what is
// there cannot be put off, waiting for what is not there can be done asleep. It
// returns the CPU time of all streams. The caller holds the mutex.
func (s *Sidecar) ration() (busy time.Duration) {
	list := s.streams()
	spun := time.Duration(0)
	for _, st := range list {
		stats := st.events.Stats()
		busy += st.cpu + stats.CPU
		spun += stats.Spun
	}
	s.spins.add(time.Now(), spun)
	left := s.config.Reader.Duty - (s.duty.share() - s.spins.share())
	for _, st := range list {
		st.events.SetSpin(max(left, 0) / float64(len(list)))
	}
	return busy
}

// endStreams stops all streams and waits for them. What they did not take stays
// in its ringbuf for whoever reads it next.
func (s *Sidecar) endStreams() {
	s.mu.Lock()
	list := s.streams()
	s.mu.Unlock()
	for _, st := range list {
		st.end()
	}
}

// end stops it and waits. What was not taken is still in the ringbuf.
func (st *stream) end() {
	st.stop()
	<-st.done
}

func (x *source) eventOptions(r *config.Reader) reader.EventOptions {
	return reader.EventOptions{
		Name: x.name, Every: x.want.Every, Poll: x.want.Poll, Type: x.want.Type, BTF: x.want.BTF, CPUs: r.CPUs,
	}
}

// eventDestination puts the events of one ringbuf into its ring. Its goroutine
// alone uses it, but for dst.next. It allocates nothing once its table has grown.
type eventDestination struct {
	dst    *destination
	packer shm.EventPacker
}

func (d *eventDestination) Largest() int {
	d.dst.scanned() // each frame goes to the ring that is the current one by then
	return (d.dst.Largest() - shm.EventBytes(0)) &^ 7
}

func (d *eventDestination) Claim(ctx context.Context, least, most int) error {
	d.dst.scanned()
	b, err := d.dst.Claim(ctx, least, most)
	if err == nil {
		d.packer.Reset(b)
	}
	return err
}

func (d *eventDestination) Add(events []byte, length, stride, count int) int {
	return d.packer.Add(events, length, stride, count)
}

func (d *eventDestination) Commit() { d.dst.producer.Commit(d.packer.Content()) }

func (d *eventDestination) Abort() { d.dst.Abort() }
