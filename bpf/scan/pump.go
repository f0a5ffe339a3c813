// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Why a run stopped before the end of the map.
var (
	ErrFull = errors.New("there are more rows than there is room for")
	ErrLate = errors.New("it takes longer than a stay in the kernel may")
	ErrOdd  = errors.New("the program found the map otherwise than described")
)

// Run is what one run did.
type Run struct {
	Rows      int
	Discarded int           // elements that were taken out, or given to another key, while they were copied
	Moved     bool          // rows may have been missed: see Elements
	Astray    int           // lists begun again, because the walk had been led to another
	Hold      time.Duration // stay in the kernel, by its own clock
}

// Counter is a program that walks a map and copies nothing: how many rows there
// are, and what no pump can be faster than.
type Counter struct{ pump *Pump }

// OpenCounter loads the program for a hash.
func OpenCounter(t Target) (Counter, error) {
	p, err := open(&t, scanProgCountRows, 8, 1)
	return Counter{p}, err
}

// Count walks the map. After budget it gives up and returns ErrLate with what
// it saw until then.
func (c Counter) Count(budget time.Duration) (Run, error) {
	c.pump.control.BudgetNs = uint64(budget)
	err := c.pump.run()
	return Run{Rows: int(c.pump.control.Visited), Hold: c.pump.hold()}, err
}

// Close frees the program.
func (c Counter) Close() error { return c.pump.Close() }

// Pump is a program that takes rows out of a map, one run at a time: a range of
// an array, a range of a hash's buckets, or the whole of a hash.
type Pump struct {
	coll    *ebpf.Collection
	call    runCall
	control *scanControl // shared with the program
	mem     []byte       // what control lies in
	rows    []byte       // shared with the program
	rowSize int
	spares  uint64 // where the kernel's spare elements were when a scan began
}

// OpenPump loads the program that takes ranges, with room for so many rows a
// run. Rows of a hash are a key and its values, each on 8 bytes; rows of an array
// are its values alone. For a hash it needs a kernel that lets programs follow
// its lists (6.17), and knows the structures: where it does not, see OpenSweep.
func OpenPump(t Target, room int) (*Pump, error) {
	switch {
	case !t.Array():
		return open(&t, scanProgPumpBuckets, t.KeyStride()+t.ValueStride(), room)
	case t.CPUs > 0:
		return open(&t, scanProgPumpPercpuArray, t.ValueStride(), room)
	}
	return open(&t, scanProgPumpArray, t.ValueStride(), room)
}

// OpenElements loads the program that takes the elements of a hash where they
// lie, for maps that are InPlace, on kernels on which OpenPump works.
func OpenElements(t Target, room int) (*Pump, error) {
	if !t.InPlace() {
		return nil, fmt.Errorf("%w: its elements are not in one piece of memory", ErrShape)
	}
	return open(&t, scanProgPumpElements, t.KeyStride()+t.ValueStride(), room)
}

// OpenSweep loads the program that takes the whole of a hash in one run.
func OpenSweep(t Target, room int) (*Pump, error) {
	switch {
	case t.Array():
		return nil, fmt.Errorf("%w: an array is taken in ranges", ErrShape)
	case t.CPUs > 0 && t.Flags&unix.BPF_F_NO_PREALLOC != 0:
		// The kernel has looked where the values are before it calls us with the key.
		return nil, fmt.Errorf("%w: values of all CPUs may be another key's by the time they are read", ErrShape)
	}
	return open(&t, scanProgSweepHash, t.KeyStride()+t.ValueStride(), room)
}

// open loads a program with room for so many rows a run.
func open(t *Target, program string, rowSize, room int) (*Pump, error) {
	coll, err := t.load(program, rowSize, room*rowSize)
	if err != nil {
		return nil, err
	}
	return newPump(coll, program, rowSize)
}

// newPump maps what a program shares with us. It closes the collection if it fails.
func newPump(coll *ebpf.Collection, program string, rowSize int) (*Pump, error) {
	p := &Pump{coll: coll, rowSize: rowSize, call: newRunCall(coll.Programs[program].FD())}
	var err error
	if p.mem, err = mapMemory(coll.Maps[mapControl]); err != nil {
		return nil, errors.Join(fmt.Errorf("map the control words: %w", err), p.Close())
	}
	p.control = controlIn(p.mem)
	if p.rows, err = mapMemory(coll.Maps[mapRows]); err != nil {
		return nil, errors.Join(fmt.Errorf("map the rows: %w", err), p.Close())
	}
	return p, nil
}

// mapMemory maps the pages of a map of ours.
func mapMemory(m *ebpf.Map) ([]byte, error) {
	page := os.Getpagesize()
	size := (int(m.ValueSize()) + page - 1) &^ (page - 1)
	// Populate: the first run should cost what every run costs.
	return unix.Mmap(m.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
}

// Sweep takes the whole of a hash. After budget it stops and returns ErrLate;
// when rows do not fit, ErrFull. What it took until then is no scan. The rows
// are valid until the next run, here and below.
func (p *Pump) Sweep(budget time.Duration) ([]byte, Run, error) {
	p.control.BudgetNs = uint64(budget)
	return p.take()
}

// Range takes count elements of an array from the index first on.
func (p *Pump) Range(first, count int) ([]byte, Run, error) {
	p.control.First, p.control.Count = uint64(first), uint64(count)
	return p.take()
}

// Buckets takes whole buckets of a hash from the one called first on, until there
// is no room for another or the budget is spent. It returns which is next, and
// -1 if that was the last. ErrFull and ErrLate mean that not even one was taken.
func (p *Pump) Buckets(first int, budget time.Duration) (rows []byte, next int, run Run, err error) {
	p.control.First, p.control.BudgetNs = uint64(first), uint64(budget)
	rows, run, err = p.take()
	next = int(p.control.Bucket)
	if next == int(p.control.Buckets) {
		return rows, -1, run, nil
	}
	if next > first && (errors.Is(err, ErrFull) || errors.Is(err, ErrLate)) {
		err = nil
	}
	return rows, next, run, err
}

// Elements takes elements of a hash where they lie, from the one called first on,
// as Buckets takes buckets. Moved in run says that keys were overwritten while
// it ran, and may have gone from where it had not been to where it had.
func (p *Pump) Elements(first int, budget time.Duration) (rows []byte, next int, run Run, err error) {
	rows, next, run, err = p.Buckets(first, budget)
	if first == 0 {
		p.spares = p.control.Spares[0]
	}
	run.Moved = p.control.Spares[1] != p.spares
	return rows, next, run, err
}

func (p *Pump) take() ([]byte, Run, error) {
	err := p.run()
	bytes := int(p.control.Position)
	if bytes > len(p.rows) {
		return nil, Run{}, ErrOdd
	}
	return p.rows[:bytes], Run{Rows: bytes / p.rowSize, Discarded: int(p.control.Discarded), Astray: int(p.control.Astray), Hold: p.hold()}, err
}

func (p *Pump) run() error {
	if errno := p.call.run(); errno != 0 {
		return fmt.Errorf("BPF_PROG_TEST_RUN: %w", errno)
	}
	switch p.control.Stopped {
	case 0:
		return nil
	case stoppedFull:
		return ErrFull
	case stoppedLate:
		return ErrLate
	}
	return ErrOdd
}

// As in rows.h.
const (
	stoppedFull = 1
	stoppedLate = 2
)

func (p *Pump) hold() time.Duration { return time.Duration(p.control.EndNs - p.control.BeginNs) }

// ScratchBytes is the memory that the rows are left in.
func (p *Pump) ScratchBytes() int { return len(p.rows) }

// Close frees the program and its memory.
func (p *Pump) Close() error {
	var errs []error
	if p.mem != nil {
		errs = append(errs, unix.Munmap(p.mem))
	}
	if p.rows != nil {
		errs = append(errs, unix.Munmap(p.rows))
	}
	p.mem, p.rows, p.control = nil, nil, nil
	p.coll.Close()
	return errors.Join(errs...)
}
