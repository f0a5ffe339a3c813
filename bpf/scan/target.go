// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Target is a map to be read. Sizes are bytes.
type Target struct {
	FD         int // stays the caller's
	Type       ebpf.MapType
	Flags      uint32
	KeySize    int
	ValueSize  int // of one CPU
	MaxEntries int
	CPUs       int   // possible ones; 0 unless the map is per-CPU
	Possible   int   // CPUs of the machine, whatever the map
	Sum        []Int // per-CPU: add these up over the CPUs, instead of giving every CPU's value
}

// Int is an integer in a value.
type Int struct {
	Offset, Size int // 1, 2, 4 or 8 bytes
	Signed       bool
}

const (
	// MaxSums is how many integers of one value can be added up, and MaxSumBytes
	// how large that value may be.
	MaxSums     = 64
	MaxSumBytes = 8 * MaxSums
)

// ordered: amd64 alone keeps loads in order, and stores.
const ordered = runtime.GOARCH == "amd64"

// ErrShape is wrapped by errors about maps that these programs are not made for.
var ErrShape = errors.New("no program reads such a map")

func align(n int) int { return (n + 7) &^ 7 }

// Array reports whether all elements are present and keyed by their index.
func (t *Target) Array() bool { return t.Type == ebpf.Array || t.Type == ebpf.PerCPUArray }

// InPlace reports whether the kernel keeps all elements at hand, in one piece of
// memory that can be gone through. On machines that let stores pass stores they
// may not look as they are: see elements.h.
func (t *Target) InPlace() bool {
	const noPrealloc = 1 // BPF_F_NO_PREALLOC
	return ordered && !t.Array() && t.Flags&noPrealloc == 0
}

// As in rows.h.
const (
	lruCommon = 1
	lruOfCPUs = 2
)

// lru is what kind of LRU map it is, if it is one.
func (t *Target) lru() uint32 {
	const noCommonLRU = 2 // BPF_F_NO_COMMON_LRU
	switch {
	case t.Type != ebpf.LRUHash && t.Type != ebpf.LRUCPUHash:
		return 0
	case t.Flags&noCommonLRU != 0:
		return lruOfCPUs
	}
	return lruCommon
}

// moving is how many CPUs have to be looked at for rows that were moved: by
// updates of keys that are there, which change per-CPU values in place.
func (t *Target) moving() int {
	if t.InPlace() && t.CPUs == 0 {
		return t.Possible
	}
	return 0
}

// spares is how many elements the kernel keeps beyond MaxEntries: one a CPU,
// where a key is overwritten by putting another element in its place.
func (t *Target) spares() int {
	if t.lru() != 0 {
		return 0
	}
	return t.moving()
}

// KeyStride is what a key takes in a row with a key.
func (t *Target) KeyStride() int { return align(t.KeySize) }

// ValueStride is what all of a row's values take.
func (t *Target) ValueStride() int {
	switch {
	case t.CPUs == 0:
		return align(t.ValueSize)
	case t.Sum != nil:
		return 8 * len(t.Sum)
	}
	return align(t.ValueSize) * t.CPUs
}

func (t *Target) check() error {
	switch t.Type {
	case ebpf.Hash, ebpf.LRUHash, ebpf.Array:
		if t.CPUs != 0 || t.Sum != nil {
			return fmt.Errorf("%w: a %s map has no values per CPU", ErrShape, t.Type)
		}
	case ebpf.PerCPUHash, ebpf.LRUCPUHash, ebpf.PerCPUArray:
		if t.CPUs < 1 {
			return fmt.Errorf("%w: a %s map for %d CPUs", ErrShape, t.Type, t.CPUs)
		}
	default:
		return fmt.Errorf("%w: %s", ErrShape, t.Type)
	}
	if len(t.Sum) > MaxSums || t.Sum != nil && t.ValueSize > MaxSumBytes {
		return fmt.Errorf("%w: %d integers in %d bytes to add up, at most %d in %d", ErrShape, len(t.Sum), t.ValueSize, MaxSums, MaxSumBytes)
	}
	for _, f := range t.Sum {
		if f.Size != 1 && f.Size != 2 && f.Size != 4 && f.Size != 8 || f.Offset < 0 || f.Offset+f.Size > t.ValueSize {
			return fmt.Errorf("%w: an integer of %d bytes at %d of %d", ErrShape, f.Size, f.Offset, t.ValueSize)
		}
	}
	return nil
}

// load loads one program, specialised for the map, with rowsBytes of room for
// rows of rowSize. The programs that reach for other CPUs' values do it the fast
// way if the kernel knows it: that is found out by trying.
func (t *Target) load(program string, rowSize, rowsBytes int) (*ebpf.Collection, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	needs := program == scanProgPumpBuckets || program == scanProgPumpElements || program == scanProgFindQuietly
	direct := t.CPUs > 0 || !t.Array()
	coll, err := t.loadFor(machine{direct, ordered}, program, rowSize, rowsBytes)
	if err != nil && direct && !needs {
		return t.loadFor(machine{false, ordered}, program, rowSize, rowsBytes)
	}
	return coll, err
}

// machine is what programs know of where they run.
type machine struct {
	direct  bool // programs may read any address (6.17)
	ordered bool // see above
}

func (t *Target) loadFor(on machine, program string, rowSize, rowsBytes int) (*ebpf.Collection, error) {
	spec, kernel, err := decode()
	if err != nil {
		return nil, err
	}
	for name := range spec.Programs {
		if name != program {
			delete(spec.Programs, name)
		}
	}
	t.reshape(spec, rowsBytes)
	if err := t.constants(spec, rowSize, rowsBytes, on); err != nil {
		return nil, err
	}
	target, err := t.open()
	if err != nil {
		return nil, err
	}
	defer target.Close() // the program holds the map
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		MapReplacements: map[string]*ebpf.Map{scanMapTarget: target},
		Cache:           kernel,
	})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", program, err)
	}
	return coll, nil
}

func (t *Target) open() (*ebpf.Map, error) {
	fd, err := unix.FcntlInt(uintptr(t.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate the map's descriptor: %w", err)
	}
	return ebpf.NewMapFromFD(fd)
}

// The sections' names are the maps' names.
const (
	mapControl = ".bss"
	mapRows    = ".data.rows"
)

// reshape gives the maps their real sizes. Types (BTF) would contradict them.
func (t *Target) reshape(spec *ebpf.CollectionSpec, rowsBytes int) {
	target := spec.Maps[scanMapTarget]
	target.Type, target.Flags = t.Type, t.Flags
	target.KeySize, target.ValueSize, target.MaxEntries = uint32(t.KeySize), uint32(t.ValueSize), uint32(t.MaxEntries)
	target.Key, target.Value = nil, nil
	rows := spec.Maps[mapRows]
	delete(spec.Variables, scanVarRows) // or it would be written: all its bytes, from a buffer as large
	rows.ValueSize, rows.Contents, rows.Key, rows.Value = uint32(rowsBytes), nil, nil, nil
	here := spec.Maps[scanMapHere]
	here.ValueSize += uint32(8 * max(0, t.CPUs-1, t.moving()-1))
	here.Key, here.Value = nil, nil
}

func (t *Target) constants(spec *ebpf.CollectionSpec, rowSize, rowsBytes int, on machine) error {
	var fields [MaxSums]scanSumField
	for i, f := range t.Sum {
		fields[i] = scanSumField{Offset: uint16(f.Offset), Size: uint8(f.Size), IsSigned: bit[uint8](f.Signed)}
	}
	var errs []error
	for name, value := range map[string]any{
		scanVarKeySize: uint32(t.KeySize), scanVarValueSize: uint32(t.ValueSize),
		scanVarRowSize: uint32(rowSize), scanVarRowLimit: uint32(rowsBytes - rowSize),
		scanVarCpus: uint32(t.CPUs), scanVarEntries: uint32(t.MaxEntries + t.spares()), scanVarSpareCpus: uint32(t.moving()),
		scanVarLru:       t.lru(),
		scanVarLists:     bit[uint32](!t.Array()),
		scanVarWeakOrder: bit[uint32](!on.ordered),
		scanVarDirect:    bit[uint32](on.direct),
		scanVarSumWords:  bit[uint32](t.sumsWords()), scanVarSums: uint32(len(t.Sum)), scanVarSumFields: fields,
	} {
		errs = append(errs, spec.Variables[name].Set(value))
	}
	return errors.Join(errs...)
}

// sumsWords reports whether the sums are those of the value's words, so few that
// a program needs no loop for them.
func (t *Target) sumsWords() bool {
	for i, f := range t.Sum {
		if f != (Int{Offset: 8 * i, Size: 8, Signed: f.Signed}) {
			return false
		}
	}
	return 8*len(t.Sum) == t.ValueSize && len(t.Sum) <= wordsStraight
}

const wordsStraight = 32 // as in rows.h

func bit[T uint8 | uint32](b bool) T {
	if b {
		return 1
	}
	return 0
}
