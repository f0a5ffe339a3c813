// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// language is a way to build the examples that every language has, and to run them.
type language struct {
	name  string
	needs []string // commands, each with alternatives
	env   string   // names the first
	probe string   // for the first, with -c: fails if it lacks something
	build func(tools []string, dir string) *exec.Cmd
	run   func(tools []string, dir, example string) (args, env []string)
}

// in is a command in a folder beside this one.
func in(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	return cmd
}

var languages = []language{
	{
		name: "go", needs: []string{"go"},
		build: func(tools []string, dir string) *exec.Cmd {
			return exec.Command(tools[0], "build", "-o", dir+"/", "./go/examples/scanhash", "./go/examples/flows")
		},
		run: func(_ []string, dir, example string) (args, env []string) {
			return []string{filepath.Join(dir, example)}, nil
		},
	},
	{
		name: "c", needs: []string{"cc", "make"}, env: "CC",
		build: func(tools []string, dir string) *exec.Cmd {
			return in("c", tools[1], "CC="+tools[0], "O="+dir, filepath.Join(dir, "examples", "scanhash"), filepath.Join(dir, "examples", "flows"))
		},
		run: func(_ []string, dir, example string) (args, env []string) {
			return []string{filepath.Join(dir, "examples", example)}, nil
		},
	},
	{
		name: "rust", needs: []string{"cargo"}, env: "CARGO",
		// In the folder's own target, as its tests do, where most of it is there already.
		build: func(tools []string, _ string) *exec.Cmd {
			return in("rust", tools[0], "build", "--release", "--example", "scanhash", "--example", "flows", "--offline", "--quiet")
		},
		run: func(_ []string, _, example string) (args, env []string) {
			target := os.Getenv("CARGO_TARGET_DIR")
			if target == "" {
				target = filepath.Join("rust", "target")
			}
			return []string{filepath.Join(target, "release", "examples", example)}, nil
		},
	},
	{
		name: "python", needs: []string{"/usr/bin/python3|python3", "cc"}, env: "PYTHON",
		probe: `import os, setuptools, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")`,
		build: func(tools []string, dir string) *exec.Cmd {
			return in("python", tools[0], "setup.py", "-q", "build", "--build-base", filepath.Join(dir, "base"), "--build-lib", dir)
		},
		run: func(tools []string, dir, example string) (args, env []string) {
			return []string{tools[0], filepath.Join("python", "examples", example+".py")}, []string{"PYTHONPATH=" + dir, "PYTHONDONTWRITEBYTECODE=1"}
		},
	},
}

// tools are the commands that a language needs.
func (l *language) tools() (paths []string, err error) {
	for i, names := range l.needs {
		if named := os.Getenv(l.env); i == 0 && named != "" {
			names = named
		}
		path := ""
		for name := range strings.SplitSeq(names, "|") {
			if path == "" {
				path, err = exec.LookPath(name)
			}
		}
		if path == "" {
			return nil, err
		}
		paths = append(paths, path)
	}
	if l.probe != "" {
		if out, err := exec.Command(paths[0], "-c", l.probe).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", paths[0], err, out)
		}
	}
	return paths, nil
}

// contender is a language that is here: one consumer of the ring, which may be
// killed and started anew.
type contender struct {
	name      string
	args, env []string
	cmd       *exec.Cmd
	ended     chan struct{}

	mu    sync.Mutex
	lives [][]line // what each of them printed
	wrong error
}

// line is what scanhash prints.
type line struct {
	Scan, Rows uint64
	Hash       string
	Seen, Lost uint64
}

// built is a language that is here, with the examples.
type built struct {
	language
	paths []string // of its tools
	dir   string
}

// build builds what can be built here.
func build(t *testing.T) (here []built) {
	t.Helper()
	for _, l := range languages {
		tools, err := l.tools()
		if err != nil {
			if os.Getenv(bpftest.NoSkipEnv) == "1" {
				t.Fatalf("%s: %v (%s=1)", l.name, err, bpftest.NoSkipEnv)
			}
			t.Logf("%s is left out: %v", l.name, err)
			continue
		}
		b := built{l, tools, t.TempDir()}
		cmd := l.build(tools, b.dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
		here = append(here, b)
	}
	return here
}

// contenders run an example each.
func contenders(here []built, example string, args ...string) (all []*contender) {
	for _, b := range here {
		program, env := b.run(b.paths, b.dir, example)
		all = append(all, &contender{name: b.name, args: append(program, args...), env: env})
	}
	return all
}

// start begins another life.
func (c *contender) start(t *testing.T, socket string) {
	t.Helper()
	c.cmd = exec.Command(c.args[0], c.args[1:]...)
	c.cmd.Env = append(append(os.Environ(), "RINGSIDE_SOCKET="+socket), c.env...)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	c.mu.Lock()
	c.lives = append(c.lives, nil)
	c.mu.Unlock()
	c.ended = make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			c.hear(scan.Bytes())
		}
	}(c.ended)
	t.Cleanup(c.kill)
}

func (c *contender) hear(text []byte) {
	var l line
	err := json.Unmarshal(text, &l)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.wrong = errors.Join(c.wrong, fmt.Errorf("%s printed %q: %w", c.name, text, err))
		return
	}
	life := &c.lives[len(c.lives)-1]
	*life = append(*life, l)
}

// kill ends a life, wherever it is.
func (c *contender) kill() {
	_ = c.cmd.Process.Kill() // it may have been before
	<-c.ended                // Wait must not close the pipe before all of it is read
	_ = c.cmd.Wait()
}

func (c *contender) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		t.Errorf("%s: %v", c.name, err)
	}
}

// last is what it printed last in this life, if it did.
func (c *contender) last() (l line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if life := c.lives[len(c.lives)-1]; len(life) > 0 {
		l = life[len(life)-1]
	}
	return l
}
