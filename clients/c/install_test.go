// SPDX-License-Identifier: Apache-2.0

package c

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// api is every function that the header declares.
func api(t testing.TB) []string {
	t.Helper()
	header, err := os.ReadFile("ringside.h")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^RINGSIDE_API .*?\b(ringside_\w+)\(`).FindAllSubmatch(header, -1) {
		names = append(names, string(m[1]))
	}
	slices.Sort(names)
	return names
}

// What is installed is enough to compile, link and run against, as C and as C++;
// and the library's names are those of the header, no more and no less.
func TestInstall(t *testing.T) {
	build(t, "gcc") // the tools are there
	cxx := need(t, "g++")
	root := t.TempDir()
	if err := makeIn(filepath.Join(buildDir, "gcc"), "CC=gcc", "install", "DESTDIR="+root, "PREFIX=/usr"); err != nil {
		t.Fatal(err)
	}
	lib := filepath.Join(root, "usr/lib")
	f, err := elf.Open(filepath.Join(lib, "libringside.so"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if names, err := f.DynString(elf.DT_SONAME); err != nil || !slices.Equal(names, []string{"libringside.so.1"}) {
		t.Errorf("soname %q: %v", names, err)
	}
	needed, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range needed { // the loader is a part of libc, which thread-local memory needs
		if !strings.HasPrefix(name, "libc.") && !strings.HasPrefix(name, "ld-") {
			t.Errorf("needs %s, expected libc alone", name)
		}
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var exported []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF && elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			exported = append(exported, s.Name)
		}
	}
	slices.Sort(exported)
	if want := api(t); !slices.Equal(exported, want) {
		t.Errorf("exports\n%q, the header declares\n%q", exported, want)
	}
	pc, err := os.ReadFile(filepath.Join(lib, "pkgconfig/ringside.pc"))
	if err != nil || !strings.Contains(string(pc), "-lringside") || strings.Contains(string(pc), "@") {
		t.Errorf("pkg-config: %v\n%s", err, pc)
	}
	program := filepath.Join(root, "plusplus")
	cmd := exec.Command(cxx, "-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"+filepath.Join(root, "usr/include"),
		"-o", program, "tests/plusplus.cc", "-L"+lib, "-lringside", "-Wl,-rpath,"+lib)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := output(t, program, "../testdata/one-frame.ring"); got != "2 rows, 24 bytes\n" {
		t.Errorf("C++ read %q", got)
	}
}

// Every function is in the NAME of one manual page, every errno of the header is
// named in them, and they are well-formed.
func TestManual(t *testing.T) {
	pages, err := filepath.Glob("man/*.3")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	var all strings.Builder
	var named []string
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
		name, _, _ := strings.Cut(string(text), ".Sh SYNOPSIS")
		for _, m := range regexp.MustCompile(`(?m)^\.Nm (ringside_\w+)`).FindAllStringSubmatch(name, -1) {
			named = append(named, m[1])
		}
	}
	slices.Sort(named)
	if want := api(t); !slices.Equal(named, want) {
		t.Errorf("pages name\n%q, the header declares\n%q", named, want)
	}
	header, err := os.ReadFile("ringside.h")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`-(E[A-Z0-9]+)\b`).FindAllStringSubmatch(string(header), -1) {
		if !strings.Contains(all.String(), "Er -"+m[1]) {
			t.Errorf("%s is in no manual page", m[1])
		}
	}
	groff := need(t, "groff")
	for _, page := range pages {
		if out, err := exec.Command(groff, "-mdoc", "-Tutf8", "-ww", "-z", page).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", page, err, out)
		}
	}
}
