// SPDX-License-Identifier: Apache-2.0

package c

import (
	"os"
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
