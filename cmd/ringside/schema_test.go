// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// packedMap has one row of
//
//	struct event {
//		__u8 kind; __u32 id; __u64 bytes;
//		struct point { __s32 x, y; } at; __u16 low:4, high:12; __u8 tail[2];
//	} __attribute__((packed));
func packedMap() (*ebpf.Map, error) {
	point := &btf.Struct{Name: "point", Size: 8, Members: []btf.Member{member("x", typeS32, 0), member("y", typeS32, 4)}}
	value := &btf.Struct{Name: "event", Size: 25, Members: []btf.Member{
		member("kind", typeU8, 0), member("id", typeU32, 1), member("bytes", typeU64, 5), member("at", point, 13),
		{Name: "low", Type: typeU16, Offset: 168, BitfieldSize: 4}, {Name: "high", Type: typeU16, Offset: 172, BitfieldSize: 12},
		member("tail", arrayOf(typeU8, 2), 23),
	}}
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "packed", Type: ebpf.Hash, KeySize: 4, ValueSize: 25, MaxEntries: 16, Key: typeU32, Value: value,
	})
	if err == nil {
		err = m.Put(uint32(7), []byte{1, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0x51, 0xab, 9, 10})
	}
	return m, err
}

// reads is a consumer in the types that were printed for it.
const reads = `package main

import (
	"context"
	"fmt"
	"os"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

func main() {
	sub, err := ringside.Attach(context.Background(), ringside.Options{})
	fail(err)
	defer sub.Close()
	typed, err := ringside.RowsOf[TypedKey, TypedValue](sub, "typed")
	fail(err)
	packed, err := ringside.RowsOf[PackedKey, PackedValue](sub, "packed")
	fail(err)
	percpu, err := ringside.PerCPURowsOf[PercpuKey, PercpuValue](sub, "percpu")
	fail(err)
	plain, err := ringside.RowsOf[PlainKey, PlainValue](sub, "plain")
	fail(err)
	seen := map[string]bool{}
	for b, err := range sub.Batches(context.Background()) {
		fail(err)
		for k, v := range typed.In(b) {
			if k.Id == 1 {
				seen[fmt.Sprintln("typed", k.Port, v.Bytes-1<<63, v.Point.X, v.Hist, v.State, v.Fin(), v.Window(), v.AddrV4())] = true
			}
		}
		for k, v := range packed.In(b) {
			seen[fmt.Sprintln("packed", *k, v.Kind, v.Id(), v.Bytes(), v.At.X(), v.At.Y(), v.Low(), v.High(), v.Tail)] = true
		}
		for k, v := range percpu.In(b) {
			seen[fmt.Sprintln("percpu", *k, *v.On(0))] = true
		}
		for k, v := range plain.In(b) {
			seen[fmt.Sprintln("plain", *k, *v)] = true
		}
		if len(seen) == 4 {
			for line := range seen {
				fmt.Print(line)
			}
			return
		}
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`

// TestSchemaOfGoIsAccepted compiles what is printed and lets the client hold it
// against the maps; the numbers show that every field was found.
func TestSchemaOfGoIsAccepted(t *testing.T) {
	s := newRootShell(t)
	maps := map[string]func() (*ebpf.Map, error){"typed": typedMap, "packed": packedMap, "percpu": perCPUMap, "plain": plainMap}
	dir, overlay := t.TempDir(), map[string]string{}
	place := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// Inside the module, so that it may import the client, and nowhere else.
		inside, err := filepath.Abs(filepath.Join("..", "..", "clients", "go", "printed", name))
		if err != nil {
			t.Fatal(err)
		}
		overlay[inside] = file
	}
	for name, create := range maps {
		s.pin(name, create)
	}
	s.serve()
	for name := range maps {
		pinned := s.run("schema", filepath.Join(s.bpffs, name), "--lang", "go").exits(exitOK).stdout
		if served := s.run("schema", "--map", name, "--lang=go").exits(exitOK).stdout; served != pinned {
			t.Errorf("the pin has\n%s\nthe ring has\n%s", pinned, served)
		}
		place(name+".go", pinned)
	}
	place("main.go", reads)
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", "-overlay", filepath.Join(dir, "overlay.json"), "../../clients/go/printed")
	cmd.Env = append(os.Environ(), socketEnv+"="+s.socket)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{
		"typed 53 1 -1 [10 20 30] 7 1 1500 16777226\n", "packed 7 1 16909060 72623859790382856 -1 2 1 2741 [9 10]\n",
		"percpu 7 1\n", "plain [1 255] [104 101 108 108 111]\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

func TestSchemaDocument(t *testing.T) {
	s := newRootShell(t)
	s.pin("typed", typedMap)
	s.pin("percpu", perCPUMap)
	var doc schemaDocument
	out := s.run("schema", filepath.Join(s.bpffs, "typed")).exits(exitOK).stdout
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.SchemaVersion != 1 || doc.Name != "typed" || doc.KeySize != 8 || doc.ValueSize != 56 || doc.Value == nil || len(doc.Value.Fields) != 9 {
		t.Errorf("%+v", doc)
	}
	out = s.run("schema", filepath.Join(s.bpffs, "percpu")).exits(exitOK).stdout
	if err := json.Unmarshal([]byte(out), &doc); err != nil || doc.CPUs != ebpf.MustPossibleCPU() || doc.ValueSize != 8 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestSchemaUsage(t *testing.T) {
	s := newShell(t)
	for args, says := range map[string]string{
		"": "name one pin", "--lang fortran /p": `--lang "fortran"`, "/a /b": "name one pin", "/a --map x": "name one pin",
	} {
		s.run(append([]string{"schema"}, strings.Fields(args)...)...).exits(exitUsage, says)
	}
	s.run("schema", "/nowhere/flows", "--lang", "c").exits(exitConfig, "no bpffs is mounted there")
	s.run("schema", "--map", "flows").exits(exitUnavailable, "no sidecar")
}

// TestFlagsFirst: flags count behind arguments, too, and "--" ends them.
func TestFlagsFirst(t *testing.T) {
	app := newApp(nil, nil)
	for line, want := range map[string]string{
		"ringside":                    "ringside",
		"ringside schema /p --lang c": "ringside schema --lang c -- /p",
		"ringside --log-level info schema /p --map m": "ringside --log-level info schema --map m -- /p",
		"ringside schema --lang=c /p":                 "ringside schema --lang=c -- /p",
		"ringside schema -- --lang c":                 "ringside schema -- --lang c",
		"ringside tail -n 3 --map m":                  "ringside tail -n 3 --map m",
		"ringside status --brief x --watch":           "ringside status --brief --watch -- x",
		"ringside nope --x y":                         "ringside nope --x y",
	} {
		if got := strings.Join(flagsFirst(app, strings.Fields(line)), " "); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	if got := fmt.Sprint(flagsFirst(app, []string{"ringside", "schema", "/p", "--generate-bash-completion"})); got != "[ringside schema /p --generate-bash-completion]" {
		t.Error(got)
	}
}
