// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// A value may hold what belongs to the kernel: timers, lists, pointers to its
// objects. Lookups of bpf(2) leave those out, and give zeroes instead. A program
// that copies values as they lie in memory would give them, and the addresses of
// kernel memory in them, to whoever reads the ring. So such maps are read by
// lookups. They always carry a type, by which the kernel itself finds the fields.

// guardedTypes are the kernel's names for what it keeps to itself.
var guardedTypes = map[string]bool{
	"bpf_spin_lock": true, "bpf_res_spin_lock": true, "bpf_timer": true, "bpf_wq": true, "bpf_task_work": true,
	"bpf_list_head": true, "bpf_list_node": true, "bpf_rb_root": true, "bpf_rb_node": true, "bpf_refcount": true,
}

// maxTypeDepth is how deep fields may lie; the kernel looks less deep.
const maxTypeDepth = 32

// unknownFields is for a type that may not be read.
func unknownFields(id uint32) string {
	if id == 0 {
		return "" // without a type there are no such fields
	}
	return "the type of its values may not be read (CAP_SYS_ADMIN), and they may hold what is for the kernel alone, such as timers"
}

// guardedField names the first field of a value that is the kernel's.
func guardedField(spec *btf.Spec, id uint32) string {
	if id == 0 {
		return ""
	}
	t, err := spec.TypeByID(btf.TypeID(id))
	if err != nil {
		return unknownFields(id)
	}
	if name := findGuarded(t, maxTypeDepth); name != "" {
		return fmt.Sprintf("its values hold a %s, which is for the kernel alone: lookups leave it out, a program would not", name)
	}
	return ""
}

func findGuarded(t btf.Type, depth int) string {
	if depth == 0 {
		return "type too deep to look into"
	}
	switch t := t.(type) {
	case *btf.Struct:
		if guardedTypes[t.Name] {
			return t.Name
		}
		return guardedMember(t.Members, depth)
	case *btf.Union:
		return guardedMember(t.Members, depth)
	case *btf.Array:
		return findGuarded(t.Type, depth-1)
	case *btf.Pointer:
		// kptr, kptr_untrusted, percpu_kptr, uptr: what other tags say is no
		// matter of the kernel's.
		if tag, ok := t.Target.(*btf.TypeTag); ok && strings.Contains(tag.Value, "ptr") {
			return tag.Value
		}
		return ""
	case *btf.Typedef:
		return findGuarded(t.Type, depth-1)
	case *btf.Const:
		return findGuarded(t.Type, depth-1)
	case *btf.Volatile:
		return findGuarded(t.Type, depth-1)
	case *btf.Restrict:
		return findGuarded(t.Type, depth-1)
	case *btf.TypeTag:
		return findGuarded(t.Type, depth-1)
	}
	return ""
}

func guardedMember(members []btf.Member, depth int) string {
	for i := range members {
		if name := findGuarded(members[i].Type, depth-1); name != "" {
			return name
		}
	}
	return ""
}
