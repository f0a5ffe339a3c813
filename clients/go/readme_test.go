// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"errors"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// maxReadmeLines is a promise: a consumer is no longer than that.
const maxReadmeLines = 20

// The program that the front page shows is short, well formatted, and compiles.
func TestReadmeProgram(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "\n```go\n")
	program, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("there is no program in README.md")
	}
	if n := strings.Count(program, "\n"); n > maxReadmeLines {
		t.Errorf("it has %d lines, promised are %d", n, maxReadmeLines)
	}
	if formatted, err := format.Source([]byte(program)); err != nil || string(formatted) != program {
		t.Errorf("gofmt has another opinion (%v):\n%s", err, formatted)
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skipf("needs the go command: %v", err)
	}
	// A file by its name is a package of the module that the command runs in.
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "vet", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestMust(t *testing.T) {
	if v := Must(7, nil); v != 7 {
		t.Error(v)
	}
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, ErrNoSidecar) {
			t.Error(err)
		}
	}()
	Must(Attach(t.Context(), Options{Socket: socketPath(t)}))
	t.Error("no panic")
}
