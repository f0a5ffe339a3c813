// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
)

func codes(list []Advice) (c []Code) {
	for _, a := range list {
		c = append(c, a.Code)
	}
	return c
}

// fill puts n rows into a map.
func fill(t *testing.T, m *ebpf.Map, n int) {
	t.Helper()
	key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
	for i := range n {
		key[len(key)-1], key[len(key)-2] = byte(i), byte(i>>8)
		if m.Type() == ebpf.LPMTrie {
			key[0] = byte(8 * (len(key) - 4)) // length of the prefix
		}
		if err := m.Put(key, value); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAdviceOnRealMaps(t *testing.T) {
	bpftest.RequireRoot(t)
	perCPU := []Code(nil)
	if 136*ebpf.MustPossibleCPU() >= wideRow {
		perCPU = []Code{PerCPURows}
	}
	for _, tc := range []struct {
		name string
		spec ebpf.MapSpec
		rows int
		want []Code
		says string
	}{
		{"well made", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 512}, 400, nil, "brings 400 rows (78.1% of what fits), 15.6 KiB, in"},
		{"sparse", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 100_000}, 10, []Code{Sparse}, "10 of 100000 entries are used: every scan passes 131072 buckets"},
		{"small and empty", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 1000}, 0, nil, "brings 0 rows"},
		{"odd value", ebpf.MapSpec{Type: ebpf.LRUHash, KeySize: 4, ValueSize: 13, MaxEntries: 64}, 3, []Code{ValueUnaligned}, "pad the value to 16 bytes"},
		{"one word", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 64}, 3, nil, ""},
		{"array", ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 64}, 0, []Code{NotMmapable}, "create it with BPF_F_MMAPABLE"},
		{"mapped array", ebpf.MapSpec{Type: ebpf.Array, Flags: unix.BPF_F_MMAPABLE, KeySize: 4, ValueSize: 8, MaxEntries: 64}, 0, nil, "brings 64 rows (100.0%"},
		{"by CPU", ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 136, MaxEntries: 8}, 0, perCPU, ""},
		{"trie", ebpf.MapSpec{Type: ebpf.LPMTrie, Flags: unix.BPF_F_NO_PREALLOC, KeySize: 8, ValueSize: 8, MaxEntries: 64}, 5, []Code{Trie}, "brings 5 rows"},
		{"huge", ebpf.MapSpec{Type: ebpf.Hash, Flags: unix.BPF_F_NO_PREALLOC, KeySize: 4, ValueSize: 1024, MaxEntries: 100_000}, 1, []Code{Sparse, Huge}, "98.4 MiB a scan"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, pin := bpftest.NewPinned(t, "m", &tc.spec)
			if rows := tc.rows; rows > 0 {
				fill(t, m, rows)
			}
			doc, err := Collect(filepath.Dir(pin))
			if err != nil {
				t.Fatal(err)
			}
			doc.Advise()
			got := doc.Maps[0]
			if got.Cost == nil || !got.Cost.Complete || got.Cost.ScanNS <= 0 || got.Advice == nil {
				t.Fatalf("%+v", got)
			}
			if !slices.Equal(codes(got.Advice), tc.want) {
				t.Errorf("got %v, want %v", got.Advice, tc.want)
			}
			var page strings.Builder
			if err := doc.WriteTable(&page); err != nil || !strings.Contains(page.String(), tc.says) {
				t.Errorf("%v: %q is not in\n%s", err, tc.says, page.String())
			}
			for _, a := range got.Advice {
				if a.Message == "" || a.Remedy == "" {
					t.Errorf("%+v", a)
				}
			}
		})
	}
}

// A map that cannot be read at all, and one that vanishes meanwhile.
func TestAdviceOnWhatCannotBeRead(t *testing.T) {
	_, pin := bpftest.NewPinned(t, "stream", &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096})
	bpftest.Pin(t, bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 4}), filepath.Dir(pin), "gone")
	doc, err := Collect(filepath.Dir(pin))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(pin), "gone")); err != nil {
		t.Fatal(err)
	}
	doc.Advise()
	for _, m := range doc.Maps {
		if m.Cost != nil || m.Advice != nil || (m.CostReason != "") != (m.Name == "gone") {
			t.Errorf("%+v", m)
		}
	}
}

// A scan that ran out of time is extended to the full map.
func TestCostOfAPart(t *testing.T) {
	i := &reader.Info{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 1_000_000}
	c := newCost(i, reader.ScanStats{Rows: 250_000, Duration: 200 * time.Millisecond}, false)
	if c.Complete || c.Fill != 0.25 || c.ScanNS != int64(800*time.Millisecond) || c.ScanBytes != 40_000_000 {
		t.Errorf("%+v", c)
	}
	if !strings.Contains(c.String(), "a full scan would bring 38.1 MiB in about 800ms") {
		t.Errorf("%s", c)
	}
	if len(advise(i, c)) != 0 {
		t.Error("a map that was not counted is not sparse")
	}
	if none := newCost(i, reader.ScanStats{Duration: time.Second}, false); none.ScanNS != int64(time.Second) {
		t.Errorf("%+v", none)
	}
}

func TestAdviceIsDocumented(t *testing.T) {
	source, err := os.ReadFile("advice.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "\n## Advice\n")
	section, _, _ = strings.Cut(section, "\n## ")
	found := regexp.MustCompile(`Code = "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	for _, c := range found {
		if !strings.Contains(section, "\n| `"+c[1]+"` |") {
			t.Errorf("docs/operations.md, Advice: %s is missing", c[1])
		}
	}
	if listed := strings.Count(section, "\n| `"); listed != len(found) || listed == 0 {
		t.Errorf("docs/operations.md lists %d codes, there are %d", listed, len(found))
	}
}
