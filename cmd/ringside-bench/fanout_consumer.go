// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/urfave/cli/v2"

	"github.com/ringside-bpf/ringside/bpf/lab"
	ringside "github.com/ringside-bpf/ringside/clients/go"
)

// consumerVerb is the hidden verb that makes this program one of many consumers.
const consumerVerb = "consumer"

// What a consumer is told beside sayAttach; native ones understand the same.
const (
	sayTake    = "take"    // and the number of a scan: read to its end, answer with the rows that came, and the processor time in ns
	sayPublish = "publish" // two numbers of scans and a period, to a publisher; it answers with its time, in ns
)

// Ways to come by rows.
const (
	viaRing   = "ring"
	viaBatch  = "batch"
	viaSocket = "socket"
	viaShmipc = "shmipc"
	viaEvents = "events" // of a ring; what is taken is counted in events
)

// consumer is one of many that want the same rows, in a process of its own.
type consumer interface {
	attach(context.Context) error
	// take reads up to the end of a scan and says how many rows came.
	take(ctx context.Context, scan uint64) (rows int, err error)
}

// consumerCommand is this program as a consumer. It ends with its input.
func consumerCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name: consumerVerb, Hidden: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "via", Required: true}, &cli.StringFlag{Name: "at", Required: true},
			&cli.IntFlag{Name: "chunk"}, &cli.DurationFlag{Name: "every"},
		},
		Action: func(c *cli.Context) error {
			var of consumer
			switch at := c.String("at"); c.String("via") {
			case viaRing:
				of = &ringConsumer{socket: at}
			case viaBatch:
				of = &batchConsumer{pin: at, chunk: c.Int("chunk"), every: c.Duration("every")}
			case viaSocket:
				of = &socketConsumer{path: at}
			case viaShmipc:
				of = &shmipcConsumer{path: at}
			case viaEvents:
				of = &eventConsumer{socket: at}
			default:
				return fmt.Errorf("%w: --via %q", errUsage, c.String("via"))
			}
			return obey(c.Context, of, os.Stdin, stdout)
		},
	}
}

// obey does what the parent says. Whatever it is doing ends with the input.
func obey(ctx context.Context, of consumer, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	orders := make(chan string)
	go func() {
		defer close(orders)
		defer cancel()
		for lines := bufio.NewScanner(in); lines.Scan(); {
			orders <- lines.Text()
		}
	}()
	runtime.LockOSThread() // some wait in system calls
	for order := range orders {
		rows, began, err := 0, processTime(), error(nil)
		switch verb, number, _ := strings.Cut(order, " "); verb {
		case sayAttach:
			err = of.attach(ctx)
		case sayTake:
			var scan uint64
			if scan, err = strconv.ParseUint(number, 10, 64); err == nil {
				rows, err = of.take(ctx, scan)
			}
		default:
			err = fmt.Errorf("%w: told to %q", errUsage, order)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, sayDone, rows, int64(processTime()-began)); err != nil {
			return err
		}
	}
	return nil
}

// ringConsumer attached to a ring, as any program does.
type ringConsumer struct {
	socket string
	sub    *ringside.Subscription
	rows   *ringside.Rows[uint32, value]
	sum    uint64
}

func (c *ringConsumer) attach(ctx context.Context) (err error) {
	if c.sub, err = attach(ctx, c.socket); err != nil {
		return err
	}
	c.rows, err = ringside.RowsOf[uint32, value](c.sub, fannedSource)
	return err
}

// take counts no row of a lease that was overtaken.
func (c *ringConsumer) take(ctx context.Context, scan uint64) (rows int, err error) {
	var got int
	var end bool
	look := func(b *ringside.Batch) {
		got, end = 0, false
		if b.Kind == ringside.KindRows {
			c.sum += total(c.rows, b)
			got, end = b.Rows, b.Last && b.Scan >= scan
		}
	}
	for {
		valid, err := c.sub.View(ctx, look)
		if err != nil {
			return rows, err
		}
		if !valid {
			continue
		}
		if rows += got; end {
			return rows, nil
		}
	}
}

// batchConsumer reads the map itself, at the cadence at which others are given it.
type batchConsumer struct {
	pin   string
	chunk int
	every time.Duration
	raw   *rawBatch
	done  uint64 // scans
	sum   uint64
}

func (c *batchConsumer) attach(context.Context) error {
	m, err := ebpf.LoadPinnedMap(c.pin, &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	c.raw = newRawBatch(m, keyBytes, valueBytes, c.chunk)
	return nil
}

func (c *batchConsumer) take(ctx context.Context, scan uint64) (rows int, err error) {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for ; c.done < scan; c.done++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return rows, ctx.Err()
		}
		n, err := c.raw.walk(func(n int) { c.sum += sumOf(c.raw.keys, keyBytes, c.raw.values, valueBytes, n) })
		if err != nil {
			return rows, err
		}
		rows += n
	}
	return rows, nil
}

// eventConsumer takes events instead of rows.
type eventConsumer struct {
	socket string
	sub    *ringside.Subscription
	events *ringside.Events[lab.Record]
	seen   uint64 // events that came, or were lost
	sum    uint64
}

func (c *eventConsumer) attach(ctx context.Context) (err error) {
	if c.sub, err = attach(ctx, c.socket); err != nil {
		return err
	}
	c.events, err = ringside.EventsOf[lab.Record](c.sub, pathEvents)
	return err
}

// take reads until so many events have come, or were lost, since attach.
func (c *eventConsumer) take(ctx context.Context, until uint64) (events int, err error) {
	var got int
	var lost uint64
	look := func(b *ringside.Batch) {
		got, lost = 0, b.Lost.Rows
		if b.Kind != ringside.KindEvents {
			return
		}
		sum := uint64(0)
		for e := range c.events.In(b) {
			sum += e.DueNS
		}
		c.sum += sum
		got = b.Rows
	}
	for c.seen < until {
		valid, err := c.sub.View(ctx, look)
		if err != nil {
			return events, err
		}
		if valid {
			events += got
			c.seen += uint64(got) + lost
		}
	}
	return events, nil
}
