// SPDX-License-Identifier: Apache-2.0

package c

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/clients/clienttest"
)

// variant is one way to build the library and its programs.
type variant struct {
	compiler string
	args     []string // of make
	built    sync.Once
	dir      string
	err      error
}

var variants = map[string]*variant{
	"gcc":   {compiler: "gcc", args: []string{"CC=gcc"}},
	"clang": {compiler: "clang", args: []string{"CC=clang"}},
	// Whatever the sanitizers find ends the program.
	"asan": {compiler: "gcc", args: []string{"CC=gcc", "CFLAGS=-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"}},
}

// roleEnv makes the test binary play another process of a test.
const roleEnv = "RINGSIDE_C_ROLE"

var buildDir string

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) != "" {
		if err := playSidecar(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "sidecar:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "rc"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir)
	if err := os.Chmod(buildDir, 0o755); err != nil { // other users run what is in it
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build makes the library and all programs once, and returns where they are.
func build(t testing.TB, name string) string {
	t.Helper()
	v := variants[name]
	need(t, "make")
	need(t, v.compiler)
	v.built.Do(func() {
		v.dir = filepath.Join(buildDir, name)
		v.err = makeIn(v.dir, append(v.args, "all", "programs")...)
	})
	if v.err != nil {
		t.Fatal(v.err)
	}
	return v.dir
}

func makeIn(dir string, args ...string) error {
	out, err := exec.Command("make", append([]string{"-j2", "WERROR=-Werror", "O=" + dir}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make %v: %w\n%s", args, err, out)
	}
	return nil
}

// output runs a program to its end.
func output(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", strings.Join(cmd.Args, " "), err, out, &stderr)
	}
	return string(out)
}

// start runs a program as a user; /proc/self/exe is this one, as a sidecar.
func start(t testing.TB, uid int, program string, args ...string) *clienttest.Program {
	t.Helper()
	cmd := exec.Command(program, args...)
	if program == "/proc/self/exe" {
		cmd.Env = append(os.Environ(), roleEnv+"=sidecar")
	}
	if uid != os.Geteuid() {
		bpftest.RequireRoot(t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	return clienttest.Start(t, cmd)
}
