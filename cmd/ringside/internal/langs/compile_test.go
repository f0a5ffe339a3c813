// SPDX-License-Identifier: Apache-2.0

package langs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// run runs a tool, which must be content and silent.
func run(t *testing.T, dir, tool string, args ...string) {
	t.Helper()
	cmd := exec.Command(need(t, tool), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%s %v: %v\n%s", tool, args, err, out[:min(len(out), 4000)])
	}
}

// need finds a tool, without which a test has nothing to say. What a test has
// built is there.
func need(t *testing.T, tool string) string {
	t.Helper()
	if strings.HasPrefix(tool, "./") {
		return tool
	}
	path, err := exec.LookPath(tool)
	switch {
	case err == nil:
	case os.Getenv("RINGSIDE_NO_SKIP") == "1":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return path
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// gallery are rows of all shapes: chosen ones, and whatever chance brings.
func gallery() []*Rows {
	all := []*Rows{natural(), packed(), bare()}
	chance := rand.New(rand.NewPCG(1, 2))
	for n := range 150 {
		value := anyStruct(chance, 0)
		all = append(all, &Rows{Name: fmt.Sprint("r", n), Key: u64, Value: value, KeySize: 8, ValueSize: value.Size})
	}
	return all
}

// anyStruct is a struct as some compiler could have laid it out, packed or not.
func anyStruct(chance *rand.Rand, depth int) *schema.Type {
	t := &schema.Type{Kind: schema.Struct, Name: fmt.Sprintf("struct s%d", chance.IntN(1000))}
	gaps := chance.IntN(2) * chance.IntN(4)
	for i := range 1 + chance.IntN(6) {
		t.Size += chance.IntN(gaps + 1)
		f := schema.Field{Name: fmt.Sprint("f", i), Offset: t.Size, Type: anyType(chance, depth)}
		if chance.IntN(4) == 0 && gaps == 0 { // aligned
			f.Offset = (f.Offset + 7) &^ 7
		}
		if f.Type.Kind == schema.Uint && f.Type.Size <= 8 && chance.IntN(3) == 0 {
			f.BitOffset = chance.IntN(8)
			f.BitSize = 1 + chance.IntN(f.Type.Size*8)
			t.Size = f.Offset + (f.BitOffset+f.BitSize+7)/8
		} else {
			t.Size = f.Offset + f.Type.Size
		}
		if (f.Type.Kind == schema.Struct || f.Type.Kind == schema.Union) && chance.IntN(4) == 0 && depth == 0 {
			f.Name = ""
		}
		t.Fields = append(t.Fields, f)
	}
	t.Size += chance.IntN(gaps + 1)
	return t
}

func anyType(chance *rand.Rand, depth int) *schema.Type {
	plain := []*schema.Type{u8, u16, u32, u64, s16, s32, u128, f64, yes, char, ptr}
	n := chance.IntN(len(plain) + 4)
	switch {
	case n < len(plain) || depth > 2:
		return plain[n%len(plain)]
	case n == len(plain):
		return array(chance.IntN(4), anyType(chance, depth+1))
	case n == len(plain)+1:
		u := &schema.Type{Kind: schema.Union, Name: "union u"}
		for i := range 1 + chance.IntN(3) {
			f := field(fmt.Sprintf("m%d_%d", chance.IntN(1e6), i), 0, anyType(chance, depth+1))
			u.Fields, u.Size = append(u.Fields, f), max(u.Size, f.Type.Size)
		}
		return u
	}
	s := anyStruct(chance, depth+1)
	for i := range s.Fields { // one scope with what it may be an anonymous member of
		s.Fields[i].Name += fmt.Sprintf("_%d", chance.IntN(1e6))
	}
	return s
}

// TestCCompiles: the assertions of sizes and offsets are in what is printed.
func TestCCompiles(t *testing.T) {
	dir, includes := t.TempDir(), ""
	for i, rows := range gallery() {
		write(t, dir, fmt.Sprintf("r%d.h", i), C(rows))
		includes += fmt.Sprintf("#include \"r%d.h\"\n", i)
	}
	// The bits where the schema says, in natural order and packed.
	header, err := filepath.Abs("../../../../clients/c/ringside.h")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "main.c", fmt.Sprintf("#include %q\n#include <string.h>\n", header)+includes+`
int main(void) {
	const struct ringside_member *m = &flows_value_members[sizeof(flows_value_members) / sizeof(*m) - 1];
	if (strcmp(m->path, "mac") || m->offset != 112 || m->size != 6) return 1;
	flows_value f = {.fin = 1, .window = 0x5a5, .delta = -3};
	const unsigned char want[3] = {0x4b, 0xdb, 0x01};
	events_v2_value e = {.low = 0x15, .high = 0xabc, .sign = -2, .id = 0x01020304};
	const unsigned char packed[3] = {0xa8, 0xbc, 0xea}, id[4] = {4, 3, 2, 1};
	return memcmp((char *)&f + 40, want, 3) || memcmp((char *)&e + 28, packed, 3) || memcmp((char *)&e + 1, id, 4);
}
`)
	run(t, dir, "gcc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", "main", "main.c")
	run(t, dir, "./main")
	if _, err := exec.LookPath("g++"); err == nil {
		write(t, dir, "main.cc", fmt.Sprintf("#include %q\n", header)+includes+"int main() { return sizeof(flows_value) != 120; }\n")
		run(t, dir, "g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-o", "main", "main.cc")
		run(t, dir, "./main")
	}
}

// TestRustCompiles: the client's row! lays structs out, so it is compiled, too. It
// holds what is printed against the schemas that it was printed from.
func TestRustCompiles(t *testing.T) {
	client, err := filepath.Abs("../../../../clients/rust/src/lib.rs")
	if err != nil {
		t.Fatal(err)
	}
	dir, mods, arms := t.TempDir(), "", ""
	record(t, filepath.Join(dir, "all.ring"), gallery())
	run(t, dir, "rustc", "--edition", "2021", "--crate-type", "rlib", "--crate-name", "ringside", client)
	for i, rows := range gallery() {
		write(t, dir, fmt.Sprintf("m%d.rs", i), Rust(rows))
		mods += fmt.Sprintf("pub mod m%d;\n", i)
		name, per := camel(snake(rows.Name)), ""
		if rows.CPUs > 0 {
			per = "_per_cpu"
		}
		arms += fmt.Sprintf("            %q => batch.rows%s::<m%d::%sKey, m%d::%sValue>().map(drop),\n", rows.Name, per, i, name, i, name)
	}
	write(t, dir, "main.rs", mods+`
use ringside::Plain;

fn accept() {
    let mut sub = ringside::Subscription::open_file("all.ring", Default::default()).unwrap();
    let mut seen = 0;
    while let Some(batch) = sub.next().unwrap() {
        let fits = match batch.source_name() {
`+arms+`            name => panic!("{}", name),
        };
        fits.unwrap();
        seen += 1;
    }
    assert_eq!(seen, `+fmt.Sprint(len(gallery()))+`);
}

fn main() {
    ringside::Table::<m0::FlowsKey, m0::FlowsValue>::new("flows"); // asks more of keys than rows do
    let mut bytes = [0u8; 120];
    bytes[40..43].copy_from_slice(&[0x4b, 0xdb, 0x01]);
    bytes[44..48].copy_from_slice(&[4, 3, 2, 1]);
    let v = m0::FlowsValue::from_bytes(&bytes).unwrap();
    assert_eq!((v.fin(), v.window(), v.delta(), v.addr_v4()), (1, 0x5a5, -3, 0x01020304));
    let mut bytes = [0u8; 41];
    bytes[1..5].copy_from_slice(&[4, 3, 2, 1]);
    bytes[28..31].copy_from_slice(&[0xa8, 0xbc, 0xea]);
    let v = m1::EventsV2Value::from_bytes(&bytes).unwrap();
    assert_eq!((v.id, v.low(), v.high(), v.sign()), (0x01020304, 0x15, 0xabc, -2));
    accept();
}
`)
	run(t, dir, "rustc", "--edition", "2021", "-A", "dead_code", "--extern", "ringside=libringside.rlib", "-o", "main", "main.rs")
	run(t, dir, "./main")
}

// record makes a ring file with a source and an empty scan for each.
func record(t *testing.T, path string, all []*Rows) {
	t.Helper()
	ring, err := shm.CreateFile(path, shm.Config{Name: "main", DataBytes: 1 << 16, Sources: uint32(len(all)), HeapBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range all {
		info := shm.SourceInfo{Name: rows.Name, KeySize: uint32(rows.KeySize), ValueSize: uint32(rows.ValueSize), MapValueSize: uint32(rows.ValueSize)}
		info.Schema = (&schema.Schema{Key: rows.Key, Value: rows.Value}).Encode()
		if rows.CPUs > 0 {
			info.Flags, info.CPUs = shm.SourcePerCPU, uint32(rows.CPUs)
			info.ValueSize = uint32((rows.ValueSize + 7) &^ 7 * rows.CPUs)
		}
		producer, err := ring.AddSource(info)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := producer.Claim(t.Context(), 0, 0); err != nil {
			t.Fatal(err)
		}
		producer.Commit(shm.Content{Kind: shm.KindRows, Flags: shm.FlagFirst | shm.FlagLast | shm.FlagKeyframe})
	}
	if err := ring.End(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestGoCompiles holds sizes as constants; that the client agrees with every
// offset is shown by TestSchemaOfGoIsAccepted in cmd/ringside.
func TestGoCompiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "go.mod", "module rows\n\ngo 1.25\n")
	sizes := ""
	for i, rows := range gallery() {
		write(t, dir, fmt.Sprintf("r%d.go", i), Go(rows))
		name := camel(snake(rows.Name))
		sizes += fmt.Sprintf("var _ = [1]int{}[unsafe.Sizeof(*new(%sKey))-%d]\nvar _ = [1]int{}[unsafe.Sizeof(*new(%sValue))-%d]\n",
			name, rows.KeySize, name, rows.ValueSize)
	}
	write(t, dir, "main.go", "package main\n\nimport \"unsafe\"\n\n"+sizes+`
func main() {
	var f FlowsValue
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&f)), 120)[40:], []byte{0x4b, 0xdb, 0x01, 0, 4, 3, 2, 1})
	var e EventsV2Value
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&e)), 41)[28:], []byte{0xa8, 0xbc, 0xea})
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&e)), 41)[1:], []byte{4, 3, 2, 1})
	if f.Fin() != 1 || f.Window() != 0x5a5 || f.Delta() != -3 || f.AddrV4() != 0x01020304 {
		panic("natural")
	}
	if e.Id() != 0x01020304 || e.Low() != 0x15 || e.High() != 0xabc || e.Sign() != -2 {
		panic("packed")
	}
}
`)
	run(t, dir, "go", "vet", ".")
	run(t, dir, "go", "run", ".")
}

func TestPythonIsEvaluated(t *testing.T) {
	python := need(t, "python3")
	if exec.Command(python, "-c", "import numpy").Run() != nil {
		t.Skip("python3 has no numpy")
	}
	var all strings.Builder
	for _, rows := range gallery() {
		all.WriteString(Python(rows))
		fmt.Fprintf(&all, "assert %s_key.itemsize == %d\nassert %s_value.itemsize == %d\n", snake(rows.Name), rows.KeySize, snake(rows.Name), rows.ValueSize)
	}
	all.WriteString(`
raw = bytes([7]) + bytes([4, 3, 2, 1]) + bytes(36)
row = numpy.frombuffer(raw, events_v2_value)[0]
assert row['kind'] == 7 and row['id'] == 0x01020304
`)
	dir := t.TempDir()
	write(t, dir, "rows.py", all.String())
	run(t, dir, python, "rows.py")
}
