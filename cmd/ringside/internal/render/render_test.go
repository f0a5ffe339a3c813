// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// fakeRows are the rows of a batch; a nil value is a deleted row.
type fakeRows [][2][]byte

func (f fakeRows) Key(i int) []byte   { return f[i][0] }
func (f fakeRows) Value(i int) []byte { return f[i][1] }

var (
	u16  = &schema.Type{Kind: schema.Uint, Name: "__u16", Size: 2}
	u32  = &schema.Type{Kind: schema.Uint, Name: "__u32", Size: 4}
	u64  = &schema.Type{Kind: schema.Uint, Name: "__u64", Size: 8}
	char = &schema.Type{Kind: schema.Char, Name: "char", Size: 1, Signed: true}
)

func array(t *schema.Type, n int) *schema.Type {
	return &schema.Type{Kind: schema.Array, Size: n * t.Size, Elem: t, Count: n}
}

// flows has a bit of everything: 40 bytes.
func flows() *ringside.Source {
	flags := &schema.Type{Kind: schema.Struct, Size: 4, Fields: []schema.Field{
		{Name: "ack", BitSize: 1, Type: u32}, {Name: "window", BitOffset: 1, BitSize: 11, Type: u32},
	}}
	addr := &schema.Type{Kind: schema.Union, Size: 4, Fields: []schema.Field{
		{Name: "v4", Type: u32}, {Name: "ports", Type: array(u16, 2)},
	}}
	value := &schema.Type{Kind: schema.Struct, Name: "struct flow", Size: 40, Fields: []schema.Field{
		{Name: "bytes", Type: u64},
		{Name: "flags", Offset: 8, Type: flags},
		{Offset: 12, Type: addr}, // anonymous
		{Name: "comm", Offset: 16, Type: array(char, 16)},
		{Name: "times", Offset: 32, Type: array(u32, 2)},
	}}
	return &ringside.Source{Name: "flows", KeySize: 4, ValueSize: 40, Schema: &schema.Schema{Version: 1, Key: u32, Value: value}}
}

func flow(key uint32, bytes uint64, comm string) [2][]byte {
	v := make([]byte, 40)
	binary.LittleEndian.PutUint64(v, bytes)
	binary.LittleEndian.PutUint32(v[8:], 1|700<<1)
	binary.LittleEndian.PutUint32(v[12:], 0x00500035)
	copy(v[16:], comm)
	binary.LittleEndian.PutUint32(v[32:], 7)
	return [2][]byte{binary.LittleEndian.AppendUint32(nil, key), v}
}

var noon = time.Date(2024, 5, 6, 12, 0, 0, 5e6, time.UTC)

func printTable(t *testing.T, terminal bool, src *ringside.Source, blocks ...fakeRows) string {
	t.Helper()
	var out bytes.Buffer
	table := NewTable(&out, terminal)
	for i, rows := range blocks {
		table.begin(src)
		if err := errors.Join(table.rows(rows, len(rows), uint64(i), noon), table.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestTable(t *testing.T) {
	got := printTable(t, false, flows(),
		fakeRows{flow(1, 5, "curl"), flow(2, 123456789, "a\x1b[2Jb")},
		fakeRows{{flow(3, 0, "")[0], nil}})
	want := `==> flows <==
TIME          SCAN  key  value.bytes  value.flags.ack  value.flags.window  value.v4  value.ports  value.comm                        value.times
12:00:00.005     0    1            5                1                 700   5242933  [53,80]      curl                              [7,0]
12:00:00.005     0    2    123456789                1                 700   5242933  [53,80]      611b5b324a6200000000000000000000  [7,0]
12:00:00.005     1    3      deleted          deleted             deleted   deleted  deleted      deleted                           deleted
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(got, "\x1b") {
		t.Error("an escape reached the output")
	}
}

func TestTableOfManyKinds(t *testing.T) {
	perCPU := &ringside.Source{Name: "hits", KeySize: 4, ValueSize: 16, CPUs: 2, Schema: &schema.Schema{Version: 1, Key: u32, Value: u64}}
	both := make([]byte, 16)
	both[0], both[8] = 3, 9
	raw := &ringside.Source{Name: "a\x1bb", KeySize: 2, ValueSize: 100}
	wide := &schema.Type{Kind: schema.Struct, Size: 4 * (maxColumns + 1)}
	for i := range maxColumns + 1 {
		wide.Fields = append(wide.Fields, schema.Field{Name: fmt.Sprint("f", i), Offset: 4 * i, Type: u32})
	}
	many := &ringside.Source{Name: "many", KeySize: 4, ValueSize: wide.Size, Schema: &schema.Schema{Version: 1, Key: u32, Value: wide}}
	for _, c := range []struct {
		src        *ringside.Source
		value      []byte
		head, cell string
	}{
		{perCPU, both, "key  value", "[3,9]"},
		{raw, bytes.Repeat([]byte{0xab}, 100), "key   value", "0102  " + strings.Repeat("ab", 23) + "a…"},
		{many, make([]byte, wide.Size), "key  value", `{"f0":0,"f1":0,`},
	} {
		got := printTable(t, false, c.src, fakeRows{{[]byte{1, 2, 0, 0}[:c.src.KeySize], c.value}})
		if !strings.Contains(got, c.head) || !strings.Contains(got, c.cell) || strings.Contains(got, "\x1b") {
			t.Errorf("%s: got\n%s\nwant %q and %q", c.src.Name, got, c.head, c.cell)
		}
	}
}

func TestTerminalGetsTheHeadAgain(t *testing.T) {
	rows := fakeRows{}
	for i := range uint32(3 * blockRows) {
		rows = append(rows, flow(i, 1, "x"))
	}
	if n := strings.Count(printTable(t, true, flows(), rows), "value.bytes"); n < 3 {
		t.Errorf("%d heads on a terminal, want one every %d rows", n, headRows)
	}
	if n := strings.Count(printTable(t, false, flows(), rows), "value.bytes"); n != 1 {
		t.Errorf("%d heads in a pipe, want 1", n)
	}
}

func TestLossInWords(t *testing.T) {
	for _, c := range []struct {
		kind ringside.Kind
		lost ringside.Loss
		want string
	}{
		{ringside.KindLost, ringside.Loss{Frames: 2, Rows: 30, Exact: true}, "-- 2 frames with 30 rows were lost\n"},
		{ringside.KindRestart, ringside.Loss{Exact: true}, "-- attached again: nothing was lost\n"},
		{ringside.KindRestart, ringside.Loss{}, "-- attached again: an unknown number of rows may be lost\n"},
		{ringside.KindRestart, ringside.Loss{Frames: 1, Rows: 4}, "-- attached again: 1 frames with 4 rows were lost, perhaps more\n"},
	} {
		var out bytes.Buffer
		table := NewTable(&out, false)
		if err := errors.Join(table.Loss(c.kind, c.lost), table.Flush()); err != nil || out.String() != c.want {
			t.Errorf("%v %+v: got %q, %v; want %q", c.kind, c.lost, out.String(), err, c.want)
		}
	}
}

func TestJSONL(t *testing.T) {
	var out bytes.Buffer
	j := NewJSONL(&out, "main")
	j.begin(flows(), "row", 4, 2, 99)
	rows := fakeRows{flow(1, 1<<63+1, "curl")}
	lost := ringside.Loss{Frames: 1, Rows: 2, Exact: true}
	if err := errors.Join(j.rows(rows, 1), j.Loss(ringside.KindLost, lost)); err != nil {
		t.Fatal(err)
	}
	j.begin(flows(), "delete", 5, 3, 100)
	if err := errors.Join(j.rows(fakeRows{{rows[0][0], nil}}, 1), j.Flush()); err != nil {
		t.Fatal(err)
	}
	want := `{"ring":"main","map":"flows","kind":"row","seq":4,"scan":2,"time_ns":99,"key":1,"value":{"bytes":9223372036854775809,"flags":{"ack":1,"window":700},"v4":5242933,"ports":[53,80],"comm":"curl","times":[7,0]}}
{"ring":"main","map":null,"kind":"lost","seq":null,"scan":null,"time_ns":null,"key":null,"value":null,"frames":1,"rows":2,"exact":true}
{"ring":"main","map":"flows","kind":"delete","seq":5,"scan":3,"time_ns":100,"key":1,"value":null}
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

func TestRowsCostNoAllocation(t *testing.T) {
	rows := fakeRows{}
	for i := range uint32(200) {
		rows = append(rows, flow(i, uint64(i), "some-process"))
	}
	src := flows()
	table, j := NewTable(io.Discard, false), NewJSONL(io.Discard, "main")
	table.begin(src)
	j.begin(src, "row", 1, 1, 1)
	for name, print := range map[string]func() error{
		"table": func() error { return table.rows(rows, len(rows), 1, noon) },
		"jsonl": func() error { return j.rows(rows, len(rows)) },
	} {
		perBatch := testing.AllocsPerRun(20, func() {
			if err := print(); err != nil {
				t.Fatal(err)
			}
		})
		if perBatch > 1 {
			t.Errorf("%s: %v allocations for %d rows", name, perBatch, len(rows))
		}
	}
}

func BenchmarkJSONL(b *testing.B) {
	j := NewJSONL(io.Discard, "main")
	j.begin(flows(), "row", 1, 1, 1)
	rows := fakeRows{flow(1, 1<<40, "some-process")}
	b.ReportAllocs()
	for b.Loop() {
		if err := j.rows(rows, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTable(b *testing.B) {
	t := NewTable(io.Discard, false)
	t.begin(flows())
	rows := fakeRows{}
	for i := range uint32(blockRows) {
		rows = append(rows, flow(i, 1<<40, "some-process"))
	}
	b.ReportAllocs()
	for b.Loop() { // blockRows rows each
		if err := t.rows(rows, len(rows), 1, noon); err != nil {
			b.Fatal(err)
		}
	}
}

// Events have neither key nor scan, and records may be shorter than their type.
func TestEvents(t *testing.T) {
	src := flows()
	src.Events = true
	src.Schema.Key = nil
	whole := flow(0, 5, "curl")[1]
	records := fakeRows{{nil, whole}, {nil, whole[:8]}}
	var out bytes.Buffer
	j := NewJSONL(&out, "main")
	j.begin(src, "event", 3, 0, 7)
	if err := errors.Join(j.rows(records, 2), j.Flush()); err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n") {
		if !json.Valid([]byte(line)) || !strings.HasPrefix(line, `{"ring":"main","map":"flows","kind":"event","seq":3,"scan":null,"time_ns":7,"key":null,"value":{"bytes":5,`) {
			t.Errorf("record %d: %s", i, line)
		}
	}
	if got := printTable(t, false, src, records); strings.Contains(got, "key") || !strings.Contains(got, "value.comm") {
		t.Error(got)
	}
}
