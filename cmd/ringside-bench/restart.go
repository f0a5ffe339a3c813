// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// mostAwayMS is when a consumer should have rows again, once there is a socket.
const mostAwayMS = 100

// restartRow is one way for a sidecar to end.
type restartRow struct {
	Contender string  `json:"contender"`
	Consumers int     `json:"consumers"`
	Median    float64 `json:"back_ms"` // the slowest consumer of a round
	P10       float64 `json:"back_ms_p10"`
	P90       float64 `json:"back_ms_p90"`
	Max       float64 `json:"back_ms_max"`
	Rounds    int     `json:"rounds"`
}

func runRestart(ctx context.Context, b *bench) (*result, error) {
	path, err := sidecarBinary()
	if errors.Is(err, fs.ErrNotExist) {
		r := b.result(noSidecar)
		r.Rows = []restartRow{}
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	return b.restart(ctx, path, 8)
}

func (b *bench) restart(ctx context.Context, path string, consumers int) (*result, error) {
	const every = 10 * time.Millisecond
	r := b.result(
		fmt.Sprintf("%d consumers, processes of their own, read a hash of %d entries that a `ringside serve` scans every %v. The sidecar is killed, or asked to end, and another one started at once. The time is that from the first moment at which somebody can connect to the socket again until a consumer has rows of the new ring; of each round the slowest consumer counts.", consumers, b.entries, every),
	)
	f, err := b.fill(subjects()[0])
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf("version: 1\nrings: [{name: %s}]\nmaps: [{path: %s, ring: %s, every: %v}]\n", ringName, f.pin, ringName, every)
	s, err := b.serveConfig(ctx, path, sidecarName, config, ringName)
	if err != nil {
		return nil, err
	}
	list, err := b.startWatchers(ctx, s, consumers)
	if err != nil {
		return nil, err
	}
	ends := []unix.Signal{unix.SIGKILL, unix.SIGTERM}
	away := make([][]float64, len(ends))
	for start := time.Now(); len(away[1]) < b.minRounds() || time.Since(start) < b.lasts; {
		for i, end := range ends {
			b.progress("restart, round %d", len(away[i])+1)
			took, err := b.restartOnce(ctx, &s, end, path, config, list)
			if err != nil {
				return nil, err
			}
			away[i] = append(away[i], took)
		}
	}
	rows := []restartRow{newRestartRow("killed", consumers, away[0]), newRestartRow("asked to end", consumers, away[1])}
	r.Rows = rows
	t := &table.Table{Title: "From the socket's return to rows, in ms, the slowest consumer", Columns: []table.Column{table.Text("the sidecar was"), table.Number("consumers"),
		table.Number("median"), table.Number("p10"), table.Number("p90"), table.Number("max"), table.Number("rounds")}}
	for i, row := range rows {
		t.Add(row.Contender, table.Count(int64(row.Consumers)), table.Figure(row.Median), table.Figure(row.P10), table.Figure(row.P90), table.Figure(row.Max), table.Count(int64(row.Rounds)))
		r.Figures = append(r.Figures, atMost("rows again after the socket's return, sidecar "+row.Contender, stat.Of(away[i]), mostAwayMS, "ms"))
	}
	r.tables = append(r.tables, t)
	return r, nil
}

func newRestartRow(contender string, consumers int, away []float64) restartRow {
	s := stat.Of(away)
	return restartRow{contender, consumers, s.Median, s.P10, s.P90, slices.Max(away), s.N}
}

// restartOnce replaces the sidecar and says after how many ms the slowest
// consumer had rows.
func (b *bench) restartOnce(ctx context.Context, s **sidecar, end unix.Signal, path, config string, list []*child) (float64, error) {
	if err := (*s).cmd.Process.Signal(end); err != nil {
		return 0, err
	}
	<-(*s).gone
	if _, err := seenBy(ctx, list); err != nil {
		return 0, err
	}
	back := make(chan uint64, 1)
	dialing, stop := context.WithTimeout(ctx, sidecarTimeout)
	defer stop()
	go func() { back <- connectable(dialing, (*s).socket) }()
	next, err := b.serveConfig(ctx, path, sidecarName, config, ringName)
	if err != nil {
		return 0, err
	}
	*s = next
	since := <-back
	var restarts []uint64
	for late := time.Now().Add(sidecarTimeout); len(restarts) < len(list); {
		all, err := seenBy(ctx, list)
		if err != nil {
			return 0, err
		}
		restarts = append(restarts, all.Restarts...)
		if time.Now().After(late) {
			return 0, fmt.Errorf("%d of %d consumers are back %v after a restart", len(restarts), len(list), sidecarTimeout)
		}
	}
	return float64(slices.Max(restarts)-min(since, slices.Max(restarts))) / 1e6, nil
}

// connectable returns when somebody can connect to the socket, or when ctx ends.
func connectable(ctx context.Context, path string) (when uint64) {
	for ctx.Err() == nil {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			break
		}
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		when = monotonic.Now()
		unix.Close(fd)
		if err == nil {
			return when
		}
		time.Sleep(200 * time.Microsecond)
	}
	return monotonic.Now()
}
