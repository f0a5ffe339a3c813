// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/reader"
)

const (
	// measureFor bounds how long one map is read to find out what reading costs.
	measureFor = 200 * time.Millisecond
	// scrapBytes is what rows are read into, and thrown away from.
	scrapBytes = 256 << 10
)

// Cost is what one scan of a map costs, measured by reading it.
type Cost struct {
	Rows     int     `json:"rows"`     // that were met
	Complete bool    `json:"complete"` // false: it was given up after a while
	Fill     float64 `json:"fill"`     // share of max_entries that is used; at least that, unless complete
	// ScanNS is the time of one scan; unless complete, of one of the full map
	// at the speed that was seen.
	ScanNS    int64  `json:"scan_ns"`
	ScanBytes uint64 `json:"scan_bytes"`
	FullBytes uint64 `json:"full_bytes"` // of a scan if max_entries are used
}

// measure reads a map once, as the sidecar would, for a bounded time.
func measure(pin string) (*reader.Info, *Cost, error) {
	s, err := reader.Open(pin, reader.Options{})
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	info := s.Info()
	dst, err := newScrap(max(scrapBytes, info.RowBytes()))
	if err != nil {
		return nil, nil, err
	}
	defer dst.close()
	ctx, cancel := context.WithTimeout(context.Background(), measureFor)
	defer cancel()
	stats, err := s.Scan(ctx, dst)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, reader.ErrChanged) {
		return nil, nil, err
	}
	return &info, newCost(&info, stats, err == nil), nil
}

func newCost(i *reader.Info, stats reader.ScanStats, complete bool) *Cost {
	row := uint64(i.AlignedBytes())
	c := &Cost{
		Rows: stats.Rows, Complete: complete, ScanNS: int64(stats.Duration),
		ScanBytes: uint64(stats.Rows) * row, FullBytes: uint64(i.MaxEntries) * row,
	}
	if i.MaxEntries > 0 {
		c.Fill = min(1, float64(c.Rows)/float64(i.MaxEntries))
	}
	if !complete && c.Fill > 0 {
		c.ScanNS, c.ScanBytes = int64(float64(stats.Duration)/c.Fill), c.FullBytes
	}
	return c
}

// String is one line for people.
func (c *Cost) String() string {
	took := time.Duration(c.ScanNS)
	if c.Complete {
		return fmt.Sprintf("a scan brings %d rows (%.1f%% of what fits), %s, in %v", c.Rows, 100*c.Fill, size(c.ScanBytes), took.Round(time.Microsecond))
	}
	return fmt.Sprintf("not read to its end: a full scan would bring %s in about %v", size(c.ScanBytes), took.Round(time.Millisecond))
}

// scrap is a reader.Destination that keeps nothing. It lets a scan end when its
// time is up.
type scrap struct{ mem []byte }

// newScrap takes its memory from the kernel, which aligns it as claims have to be.
func newScrap(bytes int) (*scrap, error) {
	mem, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("memory to read into: %w", err)
	}
	return &scrap{mem}, nil
}

func (s *scrap) Largest() int { return len(s.mem) }

func (s *scrap) Claim(ctx context.Context, _, most int) ([]byte, error) {
	return s.mem[:min(most, len(s.mem))], ctx.Err()
}

func (s *scrap) Commit(reader.Frame) {}
func (s *scrap) Abort()              {}
func (s *scrap) close()              { _ = unix.Munmap(s.mem) }

// size is a number of bytes for people.
func size(n uint64) string {
	for _, u := range []struct {
		bytes uint64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
