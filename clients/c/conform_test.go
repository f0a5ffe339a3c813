// SPDX-License-Identifier: Apache-2.0

package c

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func images(t testing.TB) []string {
	t.Helper()
	list, err := filepath.Glob("../testdata/*.ring")
	if err != nil || len(list) == 0 {
		t.Fatalf("no golden images: %v", err)
	}
	return list
}

// Every golden image is read as its pair says, whoever compiled the reader.
func TestConform(t *testing.T) {
	for name := range variants {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(build(t, name), "tests", "conform")
			for _, image := range images(t) {
				want, err := os.ReadFile(strings.TrimSuffix(image, ".ring") + ".json")
				if err != nil {
					t.Fatal(err)
				}
				if got := output(t, program, image); got != string(want) {
					t.Errorf("%s: read\n%sexpected\n%s", image, got, want)
				}
			}
		})
	}
}

// A file in which one is sent back and forth between pads has an end, too.
func TestHostileFileEnds(t *testing.T) {
	b, err := os.ReadFile("../testdata/pads.ring")
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	const pad, control = 1, 4096
	data, size := le.Uint64(b[88:]), le.Uint64(b[96:])
	for at := data; at < data+size; at += 64 {
		clear(b[at : at+64])
		le.PutUint32(b[at:], 64)
		b[at+4] = pad
	}
	// hw is before head: whoever has come so far is overtaken, and begins at last.
	for word, v := range map[int]uint64{0: 7*64 + 1, 128: size, 256: 0, 384: 0} {
		le.PutUint64(b[control+word:], v)
	}
	image := filepath.Join(t.TempDir(), "cycle.ring")
	if err := os.WriteFile(image, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := output(t, filepath.Join(build(t, "gcc"), "tests", "conform"), image); !strings.HasSuffix(got, "\"error\":\"lapped\"}\n") {
		t.Errorf("read %q", got)
	}
}

// The same on arm64, where this machine can compile for it and play it: layout and
// arithmetic, not memory order. It is one toolchain more, and never required.
func TestConformArm64(t *testing.T) {
	const triple = "aarch64-linux-gnu"
	for _, tool := range []string{triple + "-gcc", "qemu-aarch64", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	dir := filepath.Join(buildDir, "arm64")
	conform := filepath.Join(dir, "tests", "conform")
	if err := makeIn(dir, "CC="+triple+"-gcc", "AR="+triple+"-ar", "all", conform); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, image := range images(t) {
		text, err := os.ReadFile(strings.TrimSuffix(image, ".ring") + ".json")
		if err != nil {
			t.Fatal(err)
		}
		want.Write(text)
	}
	if got := output(t, "qemu-aarch64", append([]string{"-L", "/usr/" + triple, conform}, images(t)...)...); got != want.String() {
		t.Error("reads other than its pairs say")
	}
}

// Nothing leaks, and nothing is read that was not written.
func TestValgrind(t *testing.T) {
	valgrind, dir := need(t, "valgrind"), build(t, "gcc")
	check := func(program string, args ...string) string {
		flags := []string{"--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=all", "--errors-for-leak-kinds=all"}
		return output(t, valgrind, append(append(flags, filepath.Join(dir, "tests", program)), args...)...)
	}
	check("conform", images(t)...)
	check("unit")
	check("table", "../testdata/one-frame.ring")
}

// Schemas, paths, options and tables.
func TestUnit(t *testing.T) {
	for name := range variants {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(build(t, name), "tests")
			output(t, filepath.Join(dir, "unit"))
			output(t, filepath.Join(dir, "table"), "../testdata/one-frame.ring")
		})
	}
}
