// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// mapSchema describes key and value as far as the kernel tells us, and says
// why where it does not. Nothing here is fatal: rows without a type are bytes.
// guarded is why a program must not copy values: see there.
func mapSchema(info *mapInfo, t mapType) (_ *schema.Schema, reason, guarded string) {
	s := &schema.Schema{Version: schema.Version}
	reason, guarded = readBTF(info, s)
	if t.inner && s.Value == nil {
		// The kernel itself defines these values, whatever BTF says.
		s.Value = &schema.Type{Kind: schema.Uint, Name: "map_id", Size: 4}
	}
	if ebpf.MapType(info.Type) == ebpf.StackTrace {
		if s.Key == nil {
			s.Key = &schema.Type{Kind: schema.Uint, Name: "stack_id", Size: 4}
		}
		if n := int(info.ValueSize); s.Value == nil && n%8 == 0 && info.Flags&unix.BPF_F_STACK_BUILD_ID == 0 {
			ip := &schema.Type{Kind: schema.Uint, Name: "ip", Size: 8}
			s.Value = &schema.Type{Kind: schema.Array, Size: n, Elem: ip, Count: n / 8}
		}
	}
	if s.Key != nil && s.Value != nil {
		reason = ""
	}
	if s.Key == nil && s.Value == nil {
		return nil, reason, guarded
	}
	return s, reason, guarded
}

// readBTF fills the sides that the map's BTF describes.
func readBTF(info *mapInfo, s *schema.Schema) (reason, guarded string) {
	if info.BTFID == 0 || info.BTFKeyTypeID|info.BTFValueTypeID == 0 {
		return "the map was created without types (BTF)", ""
	}
	spec, reason := openBTF(info.BTFID)
	if spec == nil {
		return reason, unknownFields(info.BTFValueTypeID)
	}
	return sides(spec, info, s), guardedField(spec, info.BTFValueTypeID)
}

func openBTF(id uint32) (*btf.Spec, string) {
	handle, err := btf.NewHandleFromID(btf.ID(id))
	if errors.Is(err, unix.EPERM) {
		return nil, "reading BTF needs CAP_SYS_ADMIN"
	}
	if err != nil {
		return nil, fmt.Sprintf("open BTF %d: %v", id, err)
	}
	defer handle.Close()
	spec, err := handle.Spec(nil)
	if err != nil {
		return nil, fmt.Sprintf("read BTF %d: %v", id, err)
	}
	return spec, ""
}

// sides describes key and value, or says why it cannot.
func sides(spec *btf.Spec, info *mapInfo, s *schema.Schema) string {
	var why [2]string
	s.Key, why[0] = sideSchema(spec, info.BTFKeyTypeID, int(info.KeySize))
	s.Value, why[1] = sideSchema(spec, info.BTFValueTypeID, int(info.ValueSize))
	switch {
	case why[0] != "" && why[1] != "":
		return "key: " + why[0] + "; value: " + why[1]
	case why[0] != "":
		return "key: " + why[0]
	case why[1] != "":
		return "value: " + why[1]
	}
	return ""
}

// sideSchema describes one side of a row, or says why it cannot.
func sideSchema(spec *btf.Spec, id uint32, size int) (*schema.Type, string) {
	if id == 0 {
		return nil, "no type"
	}
	t, err := spec.TypeByID(btf.TypeID(id))
	if err != nil {
		return nil, fmt.Sprintf("type %d: %v", id, err)
	}
	c := converter{}
	out, err := c.convert(t, 0)
	if err != nil {
		return nil, err.Error()
	}
	if out.Size != size {
		return nil, fmt.Sprintf("its type has %d bytes, the map %d", out.Size, size)
	}
	probe := schema.Schema{Version: schema.Version, Value: out}
	if err := probe.Check(); err != nil {
		return nil, err.Error()
	}
	return out, ""
}
