// SPDX-License-Identifier: Apache-2.0

package langs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func absolute(t *testing.T, parts ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"../../../.."}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCIsAccepted lets the C client hold every struct against the schema that it
// was printed from.
func TestCIsAccepted(t *testing.T) {
	dir, includes, checks := t.TempDir(), "", ""
	record(t, filepath.Join(dir, "all.ring"), gallery())
	for i, rows := range gallery() {
		text := C(rows)
		write(t, dir, fmt.Sprintf("r%d.h", i), text)
		includes += fmt.Sprintf("#include \"r%d.h\"\n", i)
		for _, s := range []string{"key", "value"} {
			if name := snake(rows.Name) + "_" + s; strings.Contains(text, name+"_members[]") {
				checks += fmt.Sprintf("\tCHECK(%q, %s, %s);\n", rows.Name, s, name)
			}
		}
	}
	write(t, dir, "main.c", fmt.Sprintf("#include %q\n#include <stdio.h>\n", absolute(t, "clients", "c", "ringside.h"))+includes+`
#define CHECK(map, side, type)                                                                            \
	if (ringside_check_##side(ringside_source_by_name(r, map), sizeof(type), type##_members,            \
	                          sizeof(type##_members) / sizeof(*type##_members)) != 0)                   \
		return puts(ringside_last_error(NULL))
int main(void)
{
	struct ringside *r;
	if (ringside_open_file("all.ring", NULL, &r) != 0)
		return puts(ringside_last_error(NULL));
`+checks+`	ringside_close(r);
	return 0;
}
`)
	library, err := filepath.Glob(absolute(t, "clients", "c", "src", "*.c"))
	if err != nil || len(library) == 0 {
		t.Fatal(err)
	}
	args := []string{"-std=c11", "-D_GNU_SOURCE", "-I" + absolute(t, "clients", "c"), "-I" + absolute(t, "clients", "c", "src"), "-pthread", "-o", "main", "main.c"}
	run(t, dir, "gcc", append(args, library...)...)
	run(t, dir, "./main")
}

// TestGoIsAccepted is the same for Go.
func TestGoIsAccepted(t *testing.T) {
	need(t, "go")
	dir, overlay, views := t.TempDir(), map[string]string{}, ""
	place := func(name, text string) {
		write(t, dir, name, text)
		// Inside the module, so that it may import the client, and nowhere else.
		overlay[absolute(t, "clients", "go", "printed", name)] = filepath.Join(dir, name)
	}
	record(t, filepath.Join(dir, "all.ring"), gallery())
	for i, rows := range gallery() {
		place(fmt.Sprintf("r%d.go", i), Go(rows))
		name, of := camel(snake(rows.Name)), "RowsOf"
		if rows.CPUs > 0 {
			of = "PerCPURowsOf"
		}
		views += fmt.Sprintf("\tif _, err := ringside.%s[%sKey, %sValue](sub, %q); err != nil {\n\t\tfmt.Println(err)\n\t}\n", of, name, name, rows.Name)
	}
	place("main.go", `package main

import (
	"fmt"
	"os"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

func main() {
	sub, err := ringside.OpenFile(os.Args[1], ringside.Options{})
	if err != nil {
		panic(err)
	}
`+views+"}\n")
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "overlay.json", string(list))
	cmd := exec.Command("go", "run", "-overlay", filepath.Join(dir, "overlay.json"), "../../../../clients/go/printed", filepath.Join(dir, "all.ring"))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out[:min(len(out), 4000)])
	}
}
