// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/delay"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
)

// memoryRow is one kind of memory.
type memoryRow struct {
	Contender string  `json:"contender"`
	Bytes     int     `json:"bytes"`
	MapUS     float64 `json:"map_us,omitempty"`        // to have it mapped
	FirstUS   float64 `json:"first_pass_us,omitempty"` // to touch every page once
	NextUS    float64 `json:"next_pass_us,omitempty"`  // to do it again
	Faults    float64 `json:"minor_faults"`            // mapping and first pass
	GCs       uint32  `json:"gc_cycles"`
	PauseUS   float64 `json:"gc_pause_us"` // of all cycles
	P50US     float64 `json:"pass_p50_us,omitempty"`
	P99US     float64 `json:"pass_p99_us,omitempty"`
	Rounds    int     `json:"rounds"`
}

// ringMemory is a way to map a ring.
type ringMemory struct {
	name           string
	memfd, mapping int // flags
}

const (
	pageBytes = 4096
	hugeBytes = 2 << 20
)

func ringMemories() []ringMemory {
	return []ringMemory{
		{"ring, 4 KiB pages", 0, 0},
		{"ring, 4 KiB pages, MAP_POPULATE", 0, unix.MAP_POPULATE},
		{"ring, 2 MiB pages", unix.MFD_HUGETLB | unix.MFD_HUGE_2MB, 0},
	}
}

func runMemory(ctx context.Context, b *bench) (*result, error) {
	size := max((b.entries*(keyBytes+valueBytes)*4+hugeBytes-1)/hugeBytes*hugeBytes, hugeBytes)
	r := b.result(
		fmt.Sprintf("A ring's memory, %d bytes of a memfd that its publisher has written, is mapped as a consumer maps it, read-only and shared; a word of each 4 KiB page is read once, then again. Minor page faults are those of this process (getrusage), times are medians.", size),
		"Under pressure: rows of 4 + 32 bytes are looked at in a mapped ring, or in Go values on the heap of which each row has a pointer to its value, while another goroutine allocates all the time. Cycles and pauses of the garbage collector are runtime.MemStats'; a pass looks at all rows.",
		"Not measured: TLB misses, for which hardware counters would have to be read, and memory of another NUMA node.",
	)
	var rows []memoryRow
	for _, m := range ringMemories() {
		row, err := b.touch(ctx, m, size)
		if err != nil {
			r.Method = append(r.Method, fmt.Sprintf("Left out: %s (%v).", m.name, err))
			continue
		}
		rows = append(rows, row)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	under, err := b.underPressure(ctx)
	if err != nil {
		return nil, err
	}
	rows = append(rows, under...)
	r.Rows = rows
	memoryTables(r, rows)
	return r, nil
}

// touch maps the ring again and again.
func (b *bench) touch(ctx context.Context, m ringMemory, size int) (row memoryRow, err error) {
	fd, err := writtenMemfd(m, size)
	if err != nil {
		return row, err
	}
	defer unix.Close(fd)
	var mapped, first, next, faults []float64
	for start := time.Now(); len(first) < b.minRounds() || time.Since(start) < b.lasts/6; {
		if err := ctx.Err(); err != nil {
			return row, err
		}
		before, began := minorFaults(), time.Now()
		mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ, unix.MAP_SHARED|m.mapping)
		if err != nil {
			return row, fmt.Errorf("map it: %w", err)
		}
		mapped = append(mapped, micros(time.Since(began)))
		first = append(first, micros(touchPages(mem)))
		faults = append(faults, float64(minorFaults()-before))
		next = append(next, micros(touchPages(mem)))
		if err := unix.Munmap(mem); err != nil {
			return row, err
		}
	}
	return memoryRow{Contender: m.name, Bytes: size, MapUS: stat.Of(mapped).Median, FirstUS: stat.Of(first).Median,
		NextUS: stat.Of(next).Median, Faults: stat.Of(faults).Median, Rounds: len(first)}, nil
}

// writtenMemfd makes memory of which every page is there.
func writtenMemfd(m ringMemory, size int) (fd int, err error) {
	if fd, err = unix.MemfdCreate("ringside-bench", unix.MFD_CLOEXEC|m.memfd); err != nil {
		return -1, fmt.Errorf("make a memfd: %w", err)
	}
	if err = unix.Ftruncate(fd, int64(size)); err == nil {
		err = unix.Fallocate(fd, 0, 0, int64(size)) // or who touches it dies where there is no page
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("no room, see vm.nr_hugepages for huge pages: %w", err)
	}
	return fd, nil
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }

func touchPages(mem []byte) time.Duration {
	start, sum := time.Now(), byte(0)
	for at := 0; at < len(mem); at += pageBytes {
		sum += mem[at]
	}
	took := time.Since(start)
	runtime.KeepAlive(sum)
	return took
}

// minorFaults of this process so far.
func minorFaults() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0 // cannot fail for RUSAGE_SELF
	}
	return u.Minflt
}

// underPressure looks at rows while the garbage collector has work to do.
func (b *bench) underPressure(ctx context.Context) ([]memoryRow, error) {
	size := (b.entries*(keyBytes+valueBytes) + pageBytes - 1) / pageBytes * pageBytes
	fd, err := writtenMemfd(ringMemory{}, size)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	defer unix.Munmap(mem)
	ring, err := b.pressed(ctx, "ring, while others allocate", func() uint64 { return sumOfRing(mem, b.entries) })
	if err != nil {
		return nil, err
	}
	heap := make([]*pair, b.entries)
	for i := range heap {
		heap[i] = &pair{key: uint32(i)}
	}
	onHeap, err := b.pressed(ctx, "Go values on the heap, while others allocate", func() uint64 { return sumOfHeap(heap) })
	runtime.KeepAlive(heap)
	ring.Bytes, onHeap.Bytes = size, b.entries*(40+8)
	return []memoryRow{ring, onHeap}, err
}

func sumOfRing(mem []byte, rows int) (sum uint64) {
	values := mem[rows*keyBytes:]
	for i := range rows {
		sum += uint64(mem[i*keyBytes]) + uint64(values[i*valueBytes])
	}
	return sum
}

func sumOfHeap(rows []*pair) (sum uint64) {
	for _, p := range rows {
		sum += uint64(p.key) + p.value[0]
	}
	return sum
}

// pressed makes passes beside a goroutine that allocates.
func (b *bench) pressed(ctx context.Context, name string, look func() uint64) (row memoryRow, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(b.lasts/4, 20*time.Millisecond))
	defer cancel()
	ended := make(chan int)
	go func() { ended <- allocate(ctx) }()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var passes delay.Histogram
	faults, sum := minorFaults(), uint64(0)
	for passes.Total() == 0 || ctx.Err() == nil {
		start := time.Now()
		sum += look()
		passes.Add(time.Since(start))
	}
	row = memoryRow{Contender: name, Faults: float64(minorFaults() - faults), P50US: micros(passes.Quantile(0.5)), P99US: micros(passes.Quantile(0.99)), Rounds: int(passes.Total())}
	<-ended
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(sum)
	row.GCs, row.PauseUS = after.NumGC-before.NumGC, float64(after.PauseTotalNs-before.PauseTotalNs)/1e3
	return row, nil
}

// allocate keeps some of what it allocates, as a service does.
func allocate(ctx context.Context) (kept int) {
	var live [1024][]byte
	for i := 0; ctx.Err() == nil; i++ {
		live[i%len(live)] = make([]byte, 4096)
		runtime.Gosched()
	}
	for _, b := range live {
		kept += len(b)
	}
	return kept
}

func memoryTables(r *result, rows []memoryRow) {
	pages := &table.Table{Title: "Page faults of a mapped ring", Columns: []table.Column{table.Text("contender"), table.Number("MB"), table.Number("map, us"),
		table.Number("first pass, us"), table.Number("next pass, us"), table.Number("minor faults")}}
	gc := &table.Table{Title: "Looking at rows while the garbage collector works", Columns: []table.Column{table.Text("contender"), table.Number("MB"), table.Number("pass p50, us"),
		table.Number("p99, us"), table.Number("passes"), table.Number("minor faults"), table.Number("GC cycles"), table.Number("pauses in all, us")}}
	for _, row := range rows {
		mb := table.Figure(float64(row.Bytes) / 1e6)
		if row.P50US == 0 {
			pages.Add(row.Contender, mb, table.Figure(row.MapUS), table.Figure(row.FirstUS), table.Figure(row.NextUS), table.Count(int64(row.Faults)))
			continue
		}
		gc.Add(row.Contender, mb, table.Figure(row.P50US), table.Figure(row.P99US), table.Count(int64(row.Rounds)), table.Count(int64(row.Faults)), table.Count(int64(row.GCs)), table.Figure(row.PauseUS))
	}
	r.tables = append(r.tables, pages, gc)
}
