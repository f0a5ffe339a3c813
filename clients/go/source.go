// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"fmt"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// Source is one map that the sidecar reads into the ring. It never changes: a
// map that is replaced under its pin is another Source of the same name.
type Source struct {
	Name       string
	Number     int    // in the ring's catalog
	MapID      uint32 // the kernel's id of the map
	MapType    uint32 // enum bpf_map_type
	MaxEntries int
	KeySize    int
	// ValueSize is the size of a row's value in the ring; if CPUs > 0, of all
	// CPUs together, each in a slot of ValueSize/CPUs bytes.
	ValueSize int
	CPUs      int // possible CPUs if the map is per CPU, else 0
	// Schema describes key and value, one CPU's value if the source is per CPU.
	// It is nil, or a side of it is, where the map carries no type information.
	Schema *schema.Schema
	// LockedScan: no row that never existed, and no key missed that stayed.
	// Without it a scan may do either while the map is changed.
	LockedScan bool
	// LockedValue: values were copied under their lock. Without it only aligned
	// 8-byte words are sure to be whole.
	LockedValue bool
	// Events: it publishes records in batches of KindEvents, and no rows.
	Events bool
	// Changes: a scan that is no keyframe holds only what has changed since the
	// scan before it. See [Table].
	Changes bool

	slotValueSize int // bytes of a slot that hold a value; the rest aligns it
	sub           *Subscription
	fits          []fit // by view.index
}

func newSource(sub *Subscription, info shm.SourceInfo) *Source {
	src := &Source{
		Name: info.Name, Number: int(info.Number), MapID: info.MapID, MapType: info.MapType,
		MaxEntries: int(info.MaxEntries), KeySize: int(info.KeySize), ValueSize: int(info.ValueSize),
		LockedScan: info.Flags&shm.SourceLockedScan != 0, LockedValue: info.Flags&shm.SourceLockedValue != 0,
		Events: info.Flags&shm.SourceEvents != 0, Changes: info.Flags&shm.SourceChanges != 0,
		slotValueSize: int(info.ValueSize), sub: sub,
	}
	if info.Flags&shm.SourcePerCPU != 0 {
		src.CPUs = int(info.CPUs)
		src.slotValueSize = min(int(info.MapValueSize), src.ValueSize/src.CPUs)
	}
	src.Schema = usableSchema(info.Schema, src.KeySize, src.slotValueSize, src.Events)
	if src.Events && src.Schema != nil && src.Schema.Value != nil {
		src.slotValueSize = src.Schema.Value.Size
	}
	return src
}

// usableSchema drops what does not describe the rows: of a later version, or for
// other sizes than the catalog's. Such rows are bytes, as without a schema. Of
// events the catalog knows no size.
func usableSchema(text []byte, keySize, valueSize int, events bool) *schema.Schema {
	if len(text) == 0 {
		return nil
	}
	s, err := schema.Decode(text)
	if err != nil {
		return nil
	}
	if s.Key != nil && s.Key.Size != keySize {
		s.Key = nil
	}
	if s.Value != nil && s.Value.Size != valueSize && !events {
		s.Value = nil
	}
	return s
}

// side is what the schema says of the key or the value, or nil.
func (src *Source) side(name string) (t *schema.Type, size int) {
	switch {
	case name == sideKey && src.Schema != nil:
		return src.Schema.Key, src.KeySize
	case name == sideKey:
		return nil, src.KeySize
	case src.Schema != nil:
		return src.Schema.Value, src.slotValueSize
	}
	return nil, src.slotValueSize
}

const (
	sideKey   = "key"
	sideValue = "value"
)

// view is a typed look at the rows of the sources of one name: it is resolved
// once for each of them, never for a batch.
type view struct {
	sub     *Subscription
	index   int
	source  string
	resolve func(*Source) (fit, error)
}

// fit is what a view found out about a source. The zero fit shows nothing.
type fit struct {
	ok    bool
	field numberAt // of a column
}

// fit is what v knows about the rows of b; !ok if it cannot show them.
func (v *view) fit(b *Batch) *fit { return v.fitOf(b, KindRows) }

func (v *view) fitOf(b *Batch, kind Kind) *fit {
	src := b.Source
	if b.Kind != kind || src.sub != v.sub || v.index >= len(src.fits) {
		return &fit{}
	}
	return &src.fits[v.index]
}

// addView resolves a view for the sources there are, and remembers it for those
// that come. The newest source of the name decides whether it is a good one.
func (s *Subscription) addView(source string, resolve func(*Source) (fit, error)) (view, error) {
	v := view{sub: s, index: len(s.views), source: source, resolve: resolve}
	if err := s.loadSources(); err != nil {
		return v, err
	}
	last := s.newestOf(source)
	if last == nil {
		return v, s.noSource(source)
	}
	if _, err := resolve(last); err != nil {
		return v, err
	}
	s.views = append(s.views, v)
	for _, src := range s.sources {
		src.fits = append(src.fits, fit{})
		if src.Name == source {
			// An older source that does not fit is on its way out: its
			// last batches show nothing.
			src.fits[v.index], _ = resolve(src)
		}
	}
	return v, nil
}

// newestOf is the source that a name stands for, or nil.
func (s *Subscription) newestOf(name string) (last *Source) {
	for _, src := range s.sources {
		if src.Name == name {
			last = src
		}
	}
	return last
}

func (s *Subscription) noSource(name string) error {
	var names []string
	for _, src := range s.Sources() {
		names = append(names, src.Name)
	}
	return fmt.Errorf("source %q of ring %q: %w; the ring has %q (a map that is pinned later appears later: Batch.Source tells)",
		name, s.opts.Ring, ErrNoSource, names)
}

// Sources lists what is in the ring, the newest of each name.
func (s *Subscription) Sources() []*Source {
	if err := s.loadSources(); err != nil {
		return nil // Batches will say the same
	}
	var list []*Source
	for _, src := range s.sources {
		if s.newest(src) {
			list = append(list, src)
		}
	}
	return list
}

func (s *Subscription) newest(src *Source) bool {
	for _, later := range s.sources[src.Number+1:] {
		if later.Name == src.Name {
			return false
		}
	}
	return true
}

// loadSources takes over what the catalog has. While nobody is there, or after
// Close, it leaves the sources of the last ring, which is all that is known.
func (s *Subscription) loadSources() error {
	if s.lease == nil {
		return s.err
	}
	for len(s.sources) < s.ring().Sources() {
		if err := s.loadSource(); err != nil {
			return err
		}
	}
	return nil
}

// loadSource reads the next record of the catalog and shows it to the views.
func (s *Subscription) loadSource() error {
	info, err := s.ring().Source(len(s.sources))
	if err != nil {
		return err
	}
	src := newSource(s, info)
	src.fits = make([]fit, len(s.views))
	for i, v := range s.views {
		if v.source != src.Name {
			continue
		}
		if src.fits[i], err = v.resolve(src); err != nil {
			s.misfits = append(s.misfits, err)
		}
	}
	s.sources = append(s.sources, src)
	return nil
}
