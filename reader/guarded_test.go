// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
)

// TestGuardedValues: what the kernel keeps to itself is not copied by programs of
// ours, however fast they are, wherever it lies in the value.
func TestGuardedValues(t *testing.T) {
	timer := &btf.Struct{Name: "bpf_timer", Size: 16, Members: []btf.Member{at("__opaque", arrayOf(u64Type, 2), 0)}}
	task := &btf.Struct{Name: "task_struct", Size: 8, Members: []btf.Member{at("x", u64Type, 0)}}
	nested := &btf.Struct{Name: "nested", Size: 24, Members: []btf.Member{at("n", u64Type, 0), at("timer", timer, 8)}}
	for name, value := range map[string]*btf.Struct{
		"bpf_timer": {Name: "due", Size: 32, Members: []btf.Member{at("hits", u64Type, 0), at("in", nested, 8)}},
		"kptr_untrusted": {Name: "held", Size: 16, Members: []btf.Member{
			at("hits", u64Type, 0), at("task", &btf.Pointer{Target: &btf.TypeTag{Value: "kptr_untrusted", Type: task}}, 8)}},
	} {
		for _, typ := range []ebpf.MapType{ebpf.Hash, ebpf.Array} {
			t.Run(name+"/"+typ.String(), func(t *testing.T) {
				bpftest.RequireMap(t, typ)
				m, err := ebpf.NewMap(&ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: value.Size, MaxEntries: 4, Key: u32Type, Value: value})
				if err != nil {
					bpftest.Skip(t, "needs values with a %s: %v", name, err)
				}
				defer m.Close()
				pin := bpftest.Pin(t, m, bpftest.MountBPFFS(t), "guarded")
				info := open(t, pin, reader.Options{}).Info()
				if info.Engine != reader.EngineBatch || !strings.Contains(info.EngineReason, name) {
					t.Errorf("%s: %s", info.Engine, info.EngineReason)
				}
				for _, engine := range []string{reader.EnginePump, reader.EngineSweep, reader.EngineIter} {
					if s, err := reader.Open(pin, reader.Options{Engine: engine}); err == nil {
						s.Close()
						t.Errorf("%s reads it", engine)
					}
				}
			})
		}
	}
}
