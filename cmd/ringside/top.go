// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/signal"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/render"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/top"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// topEvery is how often the page is made anew, and about the least that rates are
// measured over: to the nearest scan.
const topEvery = time.Second

func topCommand() *cli.Command {
	return &cli.Command{
		Name:      "top",
		Usage:     "the rows of a map with the highest numbers; needs no privilege",
		ArgsUsage: "MAP",
		Description: `Keeps the current content of a map from the stream and shows the rows that are
first by a field: on a terminal live, until Ctrl-C; otherwise once. With --rate
numbers are shown, and ranked, by what they grow a second between two scans.
Unsigned numbers are counters: one that fell began again at zero. Of a map that
is per CPU, numbers are sums over the CPUs.

   ringside top flows --by bytes --rate
   ringside top flows --by value.rtt.max --rows 5 -o json

Without --by it is the first number of the value. FIELD is a path as tail shows it
("value.bytes", "value.hist[3]"), and "value." may be left out.`,
		Flags: []cli.Flag{
			socketFlag(),
			&cli.StringFlag{Name: "ring", Value: ringside.DefaultRing, Usage: "look at the ring of this `NAME`"},
			&cli.StringFlag{Name: "by", Usage: "rank by this `FIELD`"},
			&cli.BoolFlag{Name: "rate", Usage: "what numbers grow a second, not what they are"},
			&cli.IntFlag{Name: "rows", Value: 20, Usage: "show at most this `NUMBER` of rows"},
			outputFlag("table or json", "table"),
		},
		Action: showTop,
	}
}

func showTop(c *cli.Context) error {
	format, err := outputFormat(c, "table", "json")
	switch {
	case err != nil:
		return err
	case c.NArg() != 1:
		return usageError("name one map; see '%s --help'", c.Command.HelpName)
	case c.Int("rows") < 1 || c.Int("rows") > maxTopRows:
		return usageError("--rows %d: use 1 to %d", c.Int("rows"), maxTopRows)
	}
	table, err := ringside.OpenRawTable(c.Context, ringside.Options{
		Socket: c.String("socket"), Ring: c.String("ring"), Name: "ringside top", Source: c.Args().First(),
	})
	switch {
	case errors.Is(err, ringside.ErrLayout): // only what has no rows fits no raw table
		ring, name := c.String("ring"), c.Args().First()
		return withCode(exitConfig, fmt.Errorf("source %q has events, not rows that could be ranked; 'ringside tail --ring %s --map %s' prints them", name, ring, name))
	case err != nil:
		return err
	}
	defer table.Close()
	signal.Ignore(unix.SIGPIPE) // as in tail
	t := topper{
		table: table, by: c.String("by"), json: format == "json", live: isTerminal(c.App.Writer) && format == "table",
		page: top.Page{Ring: c.String("ring"), Ranking: top.Ranking{Rate: c.Bool("rate"), Rows: c.Int("rows")}},
	}
	if err = t.run(c.Context, c.App.Writer.Write); errors.Is(err, unix.EPIPE) {
		return nil
	}
	return err
}

const maxTopRows = 10000

// topper shows one page after the other.
type topper struct {
	table      *ringside.RawTable
	by         string
	json, live bool
	page       top.Page
	source     *ringside.Source // that the page's field was found in
	looked     uint64           // when the table was last fresh, by CLOCK_MONOTONIC; 0: it was not
}

func (t *topper) run(ctx context.Context, write func([]byte) (int, error)) error {
	if err := t.wait(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	for {
		if err := t.look(); err != nil {
			return err
		}
		if t.live || !t.page.Rate || t.page.Before != nil {
			if err := t.print(write); err != nil || !t.live {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// wait returns when the table has content, or none can be hoped for.
func (t *topper) wait(ctx context.Context) error {
	for {
		soon, cancel := context.WithTimeout(ctx, topEvery)
		err := t.table.Wait(soon)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
		if err := t.hopeless(t.table.Status()); err != nil {
			return err
		}
	}
}

// hopeless says why nothing more can be expected of a table. Who looks on lives
// with a map that is read no more; who waits for one answer would wait for ever.
func (t *topper) hopeless(s ringside.TableStatus) error {
	late := time.Since(s.Since) > comeBackTime
	switch {
	case s.Reason == ringside.StaleEnded:
		return s.Err
	case s.Reason == ringside.StaleGone && late:
		return withCode(exitUnavailable, errStaysAway)
	case s.Reason == ringside.StaleRetired && late && !t.live:
		return withCode(exitUnavailable, errors.New("the sidecar reads this map no more, so there will be no later scan; 'ringside status' says which maps it reads"))
	}
	return nil
}

// look takes what the table shows now. The snapshot before it, from which rates
// are counted, changes only when there is a later scan.
func (t *topper) look() error {
	p := &t.page
	p.Status = t.table.Status()
	if err := t.hopeless(p.Status); err != nil {
		return err
	}
	before := t.looked
	if t.looked = 0; p.Status.Fresh {
		t.looked = monotonic.Now()
	}
	now := t.table.Snapshot()
	// A map that is published by its changes has no later scan if there are none.
	quiet := p.Now != nil && now.Source() == t.source && now.Source().Changes && p.Status.Fresh
	if p.Now != nil && now.Source() == t.source && now.Scan() == p.Now.Scan() && !quiet {
		now.Release()
		return nil
	}
	past := p.Now
	if p.Before != nil {
		p.Before.Release()
	}
	if past != nil && !p.Rate {
		past.Release()
		past = nil
	}
	p.Before, p.Now, p.Seconds = past, now, 0
	if src := now.Source(); src != t.source {
		return t.begin(src)
	}
	if past != nil {
		p.Seconds = top.Span{From: past.TimeNS(), To: now.TimeNS(), Scans: now.Scan() - past.Scan(), Changes: t.source.Changes, Looked: before}.Seconds()
	}
	return nil
}

// begin looks for the field in a source that is new.
func (t *topper) begin(src *ringside.Source) (err error) {
	t.source, t.page.Before, t.page.By = src, nil, nil
	if t.by != "" {
		if t.page.By, err = render.FieldOf(src, t.by); err != nil {
			return usageError("--by: %w", err)
		}
		return nil
	}
	cells := render.CellsOf(src)
	for i := range cells.Len() {
		if f := cells.Number(i); f != nil && cells.Value(i) {
			t.page.By = f
			break
		}
	}
	return nil
}

func (t *topper) print(write func([]byte) (int, error)) error {
	var page bytes.Buffer
	err := error(nil)
	switch {
	case t.json:
		err = t.page.JSON(&page)
	case t.live:
		page.WriteString("\x1b[H\x1b[2J") // home, clear
		err = t.page.Table(&page, true)
	default:
		err = t.page.Table(&page, false)
	}
	if err == nil {
		_, err = write(page.Bytes())
	}
	return err
}
