// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// ErrType is returned where the type of a record cannot be found out as asked.
var ErrType = errors.New("the type of the records is not known")

// progPrefix in front of a place says that it is the pin of a program.
const progPrefix = "prog:"

// learnType describes a record. Maps of this kind do not carry it themselves.
func (e *Events) learnType() error {
	i := &e.source.info
	if e.options.Type == "" {
		i.SchemaReason = "a ringbuf does not say what its records are; name their type (maps[].type and btf)"
		return nil
	}
	spec, err := loadTypes(e.options.BTF)
	if err != nil {
		return fmt.Errorf("%w: btf: %s: %w", ErrType, e.options.BTF, err)
	}
	t, err := findType(spec, e.options.Type)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrType, e.options.BTF, err)
	}
	value, err := typeSchema(t)
	if err != nil {
		return fmt.Errorf("%w: %s: %s: %w", ErrType, e.options.BTF, e.options.Type, err)
	}
	i.Schema, i.SchemaReason = &schema.Schema{Version: schema.Version, Value: value}, ""
	return nil
}

// loadTypes reads BTF from an object file, from raw BTF, or from a program.
func loadTypes(place string) (*btf.Spec, error) {
	pin, ok := strings.CutPrefix(place, progPrefix)
	if !ok {
		return btf.LoadSpec(place)
	}
	p, err := ebpf.LoadPinnedProgram(pin, &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	h, err := p.Handle()
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("%w; reading a program's types needs CAP_SYS_ADMIN", err)
	}
	if err != nil {
		return nil, err
	}
	defer h.Close()
	return h.Spec(nil)
}

// findType finds a type by its name in C: "struct event", "union u", "enum e", or
// a typedef's.
func findType(spec *btf.Spec, name string) (btf.Type, error) {
	_, bare, tagged := strings.Cut(name, " ")
	if !tagged {
		bare = name
	}
	all, err := spec.AnyTypesByName(strings.TrimSpace(bare))
	if errors.Is(err, btf.ErrNotFound) {
		return nil, fmt.Errorf("there is no %s; bpftool btf dump file FILE, or prog pinned PIN, lists what there is", name)
	}
	if err != nil {
		return nil, err
	}
	var found btf.Type
	for _, t := range all {
		if typeName(t) != name {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("there is more than one %s", name)
		}
		found = t
	}
	if found == nil {
		return nil, fmt.Errorf("there is no %s; did you mean %s?", name, typeName(all[0]))
	}
	return found, nil
}

// typeSchema describes a type by itself.
func typeSchema(t btf.Type) (*schema.Type, error) {
	c := converter{}
	out, err := c.convert(t, 0)
	if err != nil {
		return nil, err
	}
	probe := schema.Schema{Version: schema.Version, Value: out}
	return out, probe.Check()
}
