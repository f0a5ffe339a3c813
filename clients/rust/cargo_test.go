// SPDX-License-Identifier: Apache-2.0

// Package rust_test holds the Rust client against the publisher and the sidecar's
// socket as they are, and runs its own tests.
package rust_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// cargo is a command of the toolchain: what CARGO names, or the first in PATH.
// There is no network: the crate depends on nothing.
func cargo(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	name := os.Getenv("CARGO")
	if name == "" {
		name = "cargo"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		bpftest.Skip(tb, "needs cargo, as Debian's package of that name has it: the Rust client is left out: %v", err)
	}
	return exec.Command(path, append(args, "--offline", "--quiet")...)
}

func run(tb testing.TB, cmd *exec.Cmd) {
	tb.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

var examples struct {
	sync.Once
	dir string
	err error
	out []byte
}

// example is the path of an example program, built once for all tests, as users
// build: optimised.
func example(tb testing.TB, name string) string {
	tb.Helper()
	build := cargo(tb, "build", "--release", "--examples")
	examples.Do(func() {
		examples.out, examples.err = build.CombinedOutput()
		target := os.Getenv("CARGO_TARGET_DIR")
		if target == "" {
			target = "target"
		}
		examples.dir = filepath.Join(target, "release", "examples")
	})
	if examples.err != nil {
		tb.Fatalf("%v: %v\n%s", build.Args, examples.err, examples.out)
	}
	return filepath.Join(examples.dir, name)
}

// The crate's own tests, those in its documentation included.
func TestCargo(t *testing.T) {
	run(t, cargo(t, "test", "--lib", "--tests"))
	run(t, cargo(t, "test", "--doc"))
}

// Warnings are for people who have another compiler than we do, but not here.
func TestClippy(t *testing.T) {
	cmd := cargo(t, "clippy", "--all-targets")
	if exec.Command(cmd.Path, "clippy", "--version").Run() != nil {
		t.Skip("no cargo clippy: Debian 12 has none for its compiler")
	}
	cmd.Args = append(cmd.Args, "--", "-D", "warnings")
	run(t, cmd)
}

// Every golden image reads as it must.
func TestConformance(t *testing.T) {
	conform := example(t, "conform")
	images, err := filepath.Glob(filepath.Join("..", "testdata", "*.ring"))
	if err != nil || len(images) == 0 {
		t.Fatal("no images: ", err)
	}
	for _, image := range images {
		t.Run(strings.TrimSuffix(filepath.Base(image), ".ring"), func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(image, ".ring") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			got, err := exec.Command(conform, image).Output()
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v\ngot:\n%s\nexpected:\n%s", err, got, want)
			}
		})
	}
}
