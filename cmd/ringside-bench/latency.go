// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/lab"
	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
)

// What may lie between an event and its consumer, of what lies between it and a
// reader of the ringbuf's own.
const (
	mostAsleep  = 3.5
	mostPolling = 1.5
	mostBusy    = 1 // us, from published to a consumer that never sleeps
)

// latencyPlan is what is varied.
type latencyPlan struct {
	period time.Duration // from one record to the next: time enough to fall asleep
	window int           // records of a window
	scans  time.Duration // from one scan to the next
}

func latencyAsDesigned() latencyPlan {
	return latencyPlan{time.Millisecond, 250, 10 * time.Millisecond}
}

// route is one way for a record to reach a consumer.
type route struct {
	contender, waiting string
	ring               string // of the sidecar; "": read directly
	busy               bool   // the consumer
	rows               bool   // scans of a map instead of records
	published          bool   // judged from when it was published: nothing was submitted
	pair               string // a program that is all of it
	lastCPU            awakeOne

	emitter *lab.Emitter
	watcher *child
	period  time.Duration
	window  int
}

// awakeOne is who has the last CPU to himself, because he never sleeps: it says
// where the readers of the sidecar may run, and the thread that submits.
type awakeOne int

const (
	nobody      awakeOne = iota
	theConsumer          // they keep off it
	theSidecar           // the readers are on it, who submits keeps off it
)

const (
	byDirect  = "direct"
	bySidecar = "ringside"
	byPolling = "ringside-poll" // the sidecar never sleeps
	byScans   = "ringside-scan" // rows of a map, from the end of a scan
	asleep    = "asleep"        // the consumer
	awake     = "busy"
)

func routes() []*route {
	return []*route{
		{contender: byDirect, waiting: asleep},
		{contender: bySidecar, waiting: asleep, ring: "events"},
		{contender: byPolling, waiting: asleep, ring: "polled", lastCPU: theSidecar},
		{contender: byDirect, waiting: awake, busy: true, lastCPU: theConsumer},
		{contender: bySidecar, waiting: awake, ring: "events", busy: true, lastCPU: theConsumer},
		{contender: byPolling, waiting: awake, ring: "polled", busy: true, lastCPU: theConsumer},
		{contender: byScans, waiting: asleep, ring: "rows", rows: true, published: true},
		{contender: byScans, waiting: awake, ring: "rows", rows: true, published: true, busy: true, lastCPU: theConsumer},
	}
}

func runLatency(ctx context.Context, b *bench) (*result, error) {
	path, err := sidecarBinary()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		path = ""
	}
	return b.latency(ctx, path, latencyAsDesigned())
}

func (b *bench) latency(ctx context.Context, path string, plan latencyPlan) (*result, error) {
	r := b.result(
		fmt.Sprintf("A program in the kernel submits a record every %v to a ringbuf and writes the time into it; a consumer in a process of its own looks at the clock as soon as the record is in its hands. The schedule is fixed when a window begins: whoever is slow makes no later record later, so nothing that was waited for is left out. 'from due' counts from the schedule, and so holds what the machine made the program itself wait.", plan.period),
		"direct: the consumer is the ringbuf's only reader, privileged: cilium/ebpf's ringbuf.Reader, which waits by epoll; busy, it looks at the shared memory again and again. ringside: `ringside serve` reads the ringbuf (mode events), the consumer attaches to its ring; asleep it waits for the bell. ringside-poll: the same with `poll: true`. All windows of "+fmt.Sprint(plan.window)+" records, contenders in turn and in random order. Who never sleeps has the last CPU to himself, a busy consumer or else the sidecar's reader that polls: the thread that submits is bound to the others, and beside a busy consumer so are the sidecar's readers (reader.cpus).",
		"floor: two processes in C that share memory and do nothing else: one looks at the clock, writes two cache lines and moves an end, as often; a busy one on the last CPU sees that, reads both and looks at the clock.",
		fmt.Sprintf("ringside-scan: rows of a hash of %d entries, scanned every %v; the time is that from the end of a scan to the consumer who has its last batch.", b.entries, plan.scans),
		"Percentiles are those of all windows together, right to within 3 %; ratios compare medians of windows of one round.",
	)
	if path == "" {
		r.Method = append(r.Method, "There is no bin/ringside: run `make build` first. Only the direct readers were measured.")
	}
	if runtime.NumCPU() < 3 {
		r.Method = append(r.Method, fmt.Sprintf("%d CPUs: where both the sidecar and the consumer stay awake, the program that submits has none of its own, and takes one from them.", runtime.NumCPU()))
	}
	list, err := b.enter(ctx, path, plan)
	if err != nil {
		return nil, err
	}
	if floor, err := b.enterFloor(ctx, plan); err == nil {
		list = append(list, floor)
	} else {
		r.Method = append(r.Method, fmt.Sprintf("Left out: the floor (%v).", err))
	}
	var contenders []interleave.Contender[*seen]
	for _, e := range list {
		contenders = append(contenders, interleave.Contender[*seen]{Name: e.contender + ", " + e.waiting,
			Pass: func(ctx context.Context, _ int) (*seen, error) { return e.measure(ctx) }})
	}
	o := b.rounds("latency", 1)
	o.PassFor = 0 // a window has a length of its own
	samples, err := interleave.Run(ctx, contenders, o)
	if err != nil {
		return nil, err
	}
	latencyRows(r, list, samples)
	return r, nil
}

// enter starts everybody. Who never sleeps has a sidecar of its own, or is one.
func (b *bench) enter(ctx context.Context, path string, plan latencyPlan) (list []*route, err error) {
	for _, who := range []awakeOne{nobody, theSidecar, theConsumer} {
		more, err := b.enterWith(ctx, path, plan, who)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

func (b *bench) enterWith(ctx context.Context, path string, plan latencyPlan, who awakeOne) (list []*route, err error) {
	pins, emitters := map[string]string{}, map[string]*lab.Emitter{}
	for _, ring := range []string{"", "events", "polled"} {
		if pins[ring], emitters[ring], err = b.newStream(fmt.Sprintf("stream%s_%d", ring, who)); err != nil {
			return nil, err
		}
	}
	var s *sidecar
	if path != "" {
		if s, err = b.serveStreams(ctx, path, pins, plan.scans, who); err != nil {
			return nil, err
		}
	}
	for _, e := range routes() {
		if e.lastCPU != who || e.ring != "" && s == nil {
			continue
		}
		args := []string{watcherVerb, "--pin", pins[""]}
		if e.ring != "" {
			args = []string{watcherVerb, "--socket", s.socket, "--ring", e.ring}
		}
		if e.busy {
			args = append(args, "--busy")
		}
		e.emitter, e.period, e.window = emitters[e.ring], plan.period, plan.window
		if e.rows {
			e.period = plan.scans
			e.window = max(2, int(plan.period*time.Duration(plan.window)/plan.scans))
		}
		if e.watcher, err = b.startSelf(ctx, args...); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// newStream makes a ringbuf, and a program that submits to it.
func (b *bench) newStream(name string) (pin string, e *lab.Emitter, err error) {
	m, pin, err := b.newMap(name, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 1 << 20})
	if err != nil {
		return "", nil, err
	}
	if e, err = lab.OpenEmitter(m); err != nil {
		return "", nil, err
	}
	b.later(e.Close)
	return pin, e, nil
}

// serveStreams starts a sidecar with both streams and a map, whose readers are bound
// as `reader.cpus` does it.
func (b *bench) serveStreams(ctx context.Context, path string, pins map[string]string, scans time.Duration, who awakeOne) (*sidecar, error) {
	hash := subjects()[0]
	hash.name = fmt.Sprintf("%s_%d", hash.name, who)
	f, err := b.fill(hash)
	if err != nil {
		return nil, err
	}
	var cpus unix.CPUSet // none: any
	if who != nobody {
		err := onCPUs(who == theSidecar, func() error { return unix.SchedGetaffinity(0, &cpus) })
		if err != nil {
			return nil, err
		}
	}
	name, list := fmt.Sprintf("%s%d", sidecarName, who), strings.ReplaceAll(fmt.Sprint(cpusIn(&cpus)), " ", ", ")
	return b.serveConfig(ctx, path, name, fmt.Sprintf(`version: 1
reader: {cpus: %s}
rings: [{name: events}, {name: polled}, {name: rows}]
maps:
  - {path: %s, ring: events, mode: events}
  - {path: %s, ring: polled, mode: events, poll: true}
  - {path: %s, ring: rows, every: %v}
`, list, pins["events"], pins["polled"], f.pin, scans), "rows")
}

// serveConfig starts a sidecar and waits until one can attach to a ring of it.
func (b *bench) serveConfig(ctx context.Context, path, name, config, ring string) (*sidecar, error) {
	file := filepath.Join(b.home.Dir(), name+".yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	s, err := b.startSidecar(ctx, path, name, []string{"--config", file})
	if err != nil {
		return nil, err
	}
	return s, s.reachable(ctx, ring)
}

// reachable waits until one can attach.
func (s *sidecar) reachable(ctx context.Context, ring string) error {
	ctx, cancel := context.WithTimeout(ctx, sidecarTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		sub, err := ringside.Attach(ctx, ringside.Options{Socket: s.socket, Ring: ring})
		if err == nil {
			return sub.Close()
		}
		select {
		case <-tick.C:
		case <-s.gone:
			return fmt.Errorf("%s serve ended (%w):\n%s", s.path, errOr(s.err, errors.New("without an error")), s.log.String())
		case <-ctx.Done():
			return fmt.Errorf("%s serve does not let anybody in: %w", s.path, err)
		}
	}
}

// measure is one window.
func (e *route) measure(ctx context.Context) (*seen, error) {
	if e.pair != "" {
		return e.measureFloor(ctx)
	}
	if _, err := e.watcher.tell(ctx, sayWatch); err != nil {
		return nil, err
	}
	// Everybody settles down; what is seen of it is thrown away.
	if err := e.run(max(e.window/10, 1)); err != nil {
		return nil, err
	}
	if _, err := e.see(ctx, 0, time.Second); err != nil {
		return nil, err
	}
	if err := e.run(e.window); err != nil {
		return nil, err
	}
	want := uint64(e.window)
	if e.rows {
		want = 0
	}
	all, err := e.see(ctx, want, time.Second)
	if err != nil {
		return nil, err
	}
	_, err = e.watcher.tell(ctx, sayLeave)
	return all, err
}

func (e *route) run(window int) error {
	if e.rows {
		time.Sleep(time.Duration(window) * e.period) // the sidecar scans
		return nil
	}
	emit := func() error { return e.emitter.Emit(window, e.period) }
	if e.lastCPU != nobody {
		return onCPUs(false, emit)
	}
	return emit()
}

// see asks the watcher what it has seen, until that are so many rows or it is
// plain that no more will come.
func (e *route) see(ctx context.Context, want uint64, patience time.Duration) (*seen, error) {
	var all seen
	for late := time.Now().Add(patience); ; {
		s, err := e.watcher.seen(ctx)
		if err != nil {
			return nil, err
		}
		all.merge(s)
		if all.Rows+all.Lost >= want {
			return &all, nil
		}
		if time.Now().After(late) {
			all.Lost += want - all.Rows - all.Lost
			return &all, nil
		}
	}
}

// seen is what a watcher has seen since it was last asked.
func (c *child) seen(ctx context.Context) (*seen, error) {
	text, err := c.ask(ctx, saySeen)
	if err != nil {
		return nil, err
	}
	s := new(seen)
	return s, json.Unmarshal([]byte(text), s)
}
