// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

func read(t *testing.T, files ...string) string {
	t.Helper()
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// The programs that the README shows side by side are those that are built.
func TestReadmePrograms(t *testing.T) {
	readme := read(t, "README.md")
	for fence, file := range map[string]string{
		"go": "go/examples/flows/main.go", "c": "c/examples/flows.c",
		"rust": "rust/examples/flows.rs", "python": "python/examples/flows.py",
	} {
		_, program, _ := strings.Cut(read(t, file), "\n") // behind the licence
		if shown := "```" + fence + "\n" + strings.TrimLeft(program, "\n") + "```\n"; !strings.Contains(readme, shown) {
			t.Errorf("README.md does not show %s as it is:\n%s", file, shown)
		}
	}
}

var (
	quoted = regexp.MustCompile("`[^`]+`")
	word   = regexp.MustCompile(`[A-Za-z_]{3,}`)
)

// Every name in the table of names is one in the language of its column.
func TestReadmeNames(t *testing.T) {
	_, table, found := strings.Cut(read(t, "README.md"), "\n| what | Go | C | Rust | Python |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	if !found {
		t.Fatal("README.md has no table of names")
	}
	var sources []string
	for _, pattern := range []string{"go/*.go", "c/ringside.h", "rust/src/*.rs", "python/ringside/*.py"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		sources = append(sources, read(t, files...))
	}
	for row := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(strings.Trim(row, "|"), "|")
		for i, cell := range cells[1:] {
			for _, name := range word.FindAllString(strings.Join(quoted.FindAllString(cell, -1), " "), -1) {
				if !regexp.MustCompile(`\b` + name + `\b`).MatchString(sources[i]) {
					t.Errorf("row %q: column %d names %s, which is not there", cells[0], i+1, name)
				}
			}
		}
	}
}

// The programs of the README print the same.
func printAlike(t *testing.T, ringside string, here []built) {
	u32, u64 := &btf.Int{Name: "__u32", Size: 4}, &btf.Int{Name: "__u64", Size: 8}
	m := bpftest.NewMap(t, &ebpf.MapSpec{
		Name: source, Type: ebpf.Hash, KeySize: 8, ValueSize: 16, MaxEntries: 64,
		Key:   &btf.Struct{Name: "flow", Size: 8, Members: []btf.Member{{Name: "src", Type: u32}, {Name: "dst", Type: u32, Offset: 32}}},
		Value: &btf.Struct{Name: "stats", Size: 16, Members: []btf.Member{{Name: "packets", Type: u64}, {Name: "bytes", Type: u64, Offset: 64}}},
	})
	want := map[string]bool{}
	for i := range uint32(50) {
		if err := m.Put([2]uint32{i, ^i}, [2]uint64{1, uint64(i) << 33}); err != nil {
			t.Fatal(err)
		}
		want[fmt.Sprintf("%08x %08x %d", i, ^i, uint64(i)<<33)] = true
	}
	socket := serve(t, ringside, bpftest.Pin(t, m, bpftest.MountBPFFS(t), source))
	for _, c := range contenders(here, "flows") {
		t.Run(c.name, func(t *testing.T) { prints(t, c, socket, want) })
	}
}

// prints runs a program until it has printed a scan: all lines, and no other.
func prints(t *testing.T, c *contender, socket string, want map[string]bool) {
	cmd := exec.CommandContext(t.Context(), c.args[0], c.args[1:]...)
	cmd.Env = append(append(os.Environ(), "RINGSIDE_SOCKET="+socket), c.env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	seen := map[string]bool{}
	for range len(want) {
		if lines.Scan() {
			seen[lines.Text()] = true
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	for line := range want {
		if !seen[line] {
			t.Errorf("did not print %q", line)
		}
	}
}
