// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// TestBashCompletes asks a real bash what it would suggest.
func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		bpftest.Skip(t, "needs bash: %v", err)
	}
	s := newShell(t)
	bin := t.TempDir() // where the program has its name
	if err := os.Symlink(s.bin, filepath.Join(bin, "ringside")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ line, want string }{
		{"ringside ma", "maps"},
		{"ringside comp", "completion"},
		{"ringside maps --bp", "--bpffs"},
		{"ringside tail --fr", "--from"},
		{"ringside version --", "--output --help"},
		{"ringside tail -- x", ""}, // it must not run tail
	} {
		cmd := exec.Command(bash, "--norc", "-c", `source <(ringside completion bash)
read -ra COMP_WORDS <<< "$0"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_ringside
echo "${COMPREPLY[*]}"`, c.line)
		cmd.Env = append(os.Environ(), asRingside+"=1", "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := cmd.Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
			t.Errorf("%q: suggests %q, %v; want %q", c.line, got, err, c.want)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	s := newShell(t)
	s.run("completion", "zsh").exits(exitOK, "#compdef ringside")
	s.run("completion", "fish").exits(exitOK, "complete -c ringside", "bpffs")
	s.run("completion").exits(exitUsage, "bash, zsh or fish")
	s.run("completion", "tcsh").exits(exitUsage, "tcsh")
}
