// SPDX-License-Identifier: Apache-2.0

// Package python_test installs the Python client as users do, holds it against
// the publisher and the sidecar's socket as they are, and runs its own tests.
package python_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

var scratch string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "rp"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

// interpreter is what PYTHON names, or the distribution's, or the first in PATH.
func interpreter() (string, error) {
	if name := os.Getenv("PYTHON"); name != "" {
		return exec.LookPath(name)
	}
	if path, err := exec.LookPath("/usr/bin/python3"); err == nil {
		return path, nil
	}
	return exec.LookPath("python3")
}

// lacks says what this machine has too little of to build the client, by trying.
func lacks(python string) string {
	const try = `
import os, sys, sysconfig, venv, ensurepip
assert sys.version_info >= (3, 10), "python 3.10"
assert os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")), "Python.h (python3-dev)"
`
	if out, err := exec.Command(python, "-c", try).CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return lines[len(lines)-1]
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		return err.Error()
	}
	return ""
}

// installation is a venv that has the client, made once for all tests.
type installation struct {
	once   sync.Once
	err    error
	python string   // the venv's: no numpy
	env    []string // for the machine's own: the client in PYTHONPATH
}

var plain, sanitized installation

// install makes a venv and installs a copy of the sources there, offline, as the
// README says: building leaves droppings.
func (in *installation) install(name string, flags ...string) error {
	python, err := interpreter()
	if err != nil {
		return err
	}
	home := filepath.Join(scratch, name)
	for _, part := range []string{"c", "python"} {
		if err := os.CopyFS(filepath.Join(home, "clients", part), os.DirFS(filepath.Join("..", part))); err != nil {
			return err
		}
	}
	in.python = filepath.Join(home, "v", "bin", "python")
	if err := do(exec.Command(python, "-m", "venv", filepath.Join(home, "v"))); err != nil {
		return err
	}
	pip := exec.Command(filepath.Join(home, "v", "bin", "pip"), "install", "--no-build-isolation", "--no-index", filepath.Join(home, "clients", "python"))
	pip.Env = append(os.Environ(), flags...)
	if err := do(pip); err != nil {
		return err
	}
	sites, err := filepath.Glob(filepath.Join(home, "v", "lib", "python3*", "site-packages"))
	if err != nil || len(sites) != 1 {
		return fmt.Errorf("site-packages: %v, %w", sites, err)
	}
	in.env = []string{"PYTHONPATH=" + sites[0], "PYTHONDONTWRITEBYTECODE=1"}
	return nil
}

func do(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}

func (in *installation) need(tb testing.TB, name string, flags ...string) {
	tb.Helper()
	python, err := interpreter()
	if err != nil {
		bpftest.Skip(tb, "needs python3: the Python client is left out: %v", err)
	}
	if what := lacks(python); what != "" {
		bpftest.Skip(tb, "the Python client is left out: needs python3-dev and python3-venv: %s", what)
	}
	in.once.Do(func() { in.err = in.install(name, flags...) })
	if in.err != nil {
		tb.Fatal(in.err)
	}
}

// bare runs Python in the venv, which has no numpy.
func bare(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	plain.need(tb, "plain")
	cmd := exec.Command(plain.python, append([]string{"-B"}, args...)...)
	cmd.Dir = "tests" // not where the sources of the package would hide it
	return cmd
}

// full runs Python as the machine has it, with numpy.
func full(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	plain.need(tb, "plain")
	return withNumpy(tb, &plain, args...)
}

func withNumpy(tb testing.TB, in *installation, args ...string) *exec.Cmd {
	tb.Helper()
	python, err := interpreter()
	if err != nil {
		tb.Fatal(err)
	}
	if err := exec.Command(python, "-c", "import numpy, pandas").Run(); err != nil {
		bpftest.Skip(tb, "needs python3-numpy and python3-pandas: %v", err)
	}
	cmd := exec.Command(python, args...)
	cmd.Dir = "tests"
	cmd.Env = append(os.Environ(), in.env...)
	return cmd
}

// The client's own tests, with numpy and without.
func TestUnittest(t *testing.T) {
	for name, python := range map[string]func(testing.TB, ...string) *exec.Cmd{"numpy": full, "bare": bare} {
		t.Run(name, func(t *testing.T) {
			if err := do(python(t, "-W", "error", "-m", "unittest")); err != nil {
				t.Error(err)
			}
		})
	}
}

// The same, in a build that ends where memory is misused.
func TestSanitized(t *testing.T) {
	sanitized.need(t, "sanitized", "CFLAGS=-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all")
	cmd := withNumpy(t, &sanitized, "-m", "unittest")
	library, err := exec.Command("gcc", "-print-file-name=libasan.so").Output()
	if err != nil {
		t.Fatal(err)
	}
	// Python itself keeps memory to its end, and hides it in its own allocator.
	cmd.Env = append(cmd.Env, "LD_PRELOAD="+strings.TrimSpace(string(library)), "PYTHONMALLOC=malloc", "ASAN_OPTIONS=detect_leaks=0")
	if err := do(cmd); err != nil {
		t.Error(err)
	}
}
