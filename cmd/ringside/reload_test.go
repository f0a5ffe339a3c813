// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/sidecar"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
)

// configured is a sidecar on a file.
type configured struct {
	*shell
	file string
	*process
}

// write replaces the file: maps, one a line, and what follows the ring's name.
func (c *configured) write(ring string, maps ...string) {
	c.shell.t.Helper()
	text := "version: 1\nsocket: {path: " + c.socket + "}\nrings: [{name: main" + ring + "}]\nmaps:\n"
	for _, m := range maps {
		text += "  - {path: " + c.bpffs + "/" + m + "}\n"
	}
	if err := os.WriteFile(c.file, []byte(text), 0o600); err != nil {
		c.shell.t.Fatal(err)
	}
}

func newConfigured(t *testing.T, ring string, maps ...string) *configured {
	t.Helper()
	s := newRootShell(t)
	s.pin("typed", typedMap)
	s.pin("percpu", perCPUMap)
	s.pin("plain", plainMap)
	c := &configured{shell: s, file: filepath.Join(t.TempDir(), "ringside.yaml")}
	c.write(ring, maps...)
	c.process = s.start("serve", "--config", c.file)
	s.await("a sidecar", func() bool { return s.run("status", "--brief").code != exitUnavailable })
	return c
}

// ring is what status says of the only one.
func (c *configured) ring() status.Ring {
	c.shell.t.Helper()
	var doc status.Document
	if err := json.Unmarshal([]byte(c.run("status", "-o", "json").stdout), &doc); err != nil || len(doc.Rings) != 1 {
		c.shell.t.Fatalf("%v, %d rings", err, len(doc.Rings))
	}
	return doc.Rings[0]
}

func (c *configured) sources() string {
	var names []string
	for _, s := range c.ring().Sources {
		names = append(names, s.Name)
	}
	return strings.Join(names, " ")
}

func TestReloadChangesWhatHasChanged(t *testing.T) {
	c := newConfigured(t, "", "typed, every: 20ms", "plain, every: 1s", "p*, every: 1s")
	before := c.ring()
	tail := c.start("tail", "-o", "jsonl", "--map", "typed")
	c.attached("ringside tail")

	c.run("reload").exits(exitOK, "nothing has changed\n")
	c.write("", "typed, every: 20ms", "percpu, every: 50ms", "plain, every: 50ms")
	c.run("reload").exits(exitOK, "changed: percpu, plain\n")
	c.write("", "typed, every: 20ms", "plain, every: 50ms, name: renamed")
	c.run("reload").exits(exitOK, "removed: percpu\n", "changed: renamed\n")
	c.write("", "typed, every: 20ms", "plain, every: 40ms, name: renamed")
	var changes sidecar.Changes
	c.run("reload", "-o", "json").exits(exitOK).decode(&changes)
	if changes.SchemaVersion != 1 || len(changes.Added) != 0 || !slices.Equal(changes.Changed, []string{"renamed"}) {
		t.Errorf("%+v", changes)
	}
	c.run("tail", "--map", "renamed", "-n", "1").exits(exitOK, "68656c6c6f")
	if after := c.ring(); after.Epoch != before.Epoch || c.sources() != "typed renamed" {
		t.Errorf("epoch %v, was %v; sources %s", after.Epoch, before.Epoch, c.sources())
	}
	tail.signal(syscall.SIGINT)
	if out := tail.wait().exits(exitOK); strings.Contains(out.stdout, "restart") || out.stderr != "" {
		t.Errorf("the reader of what has not changed noticed: %s", out.stderr)
	}
}

func TestReloadOfARingIsFollowed(t *testing.T) {
	c := newConfigured(t, ", bytes: 1MiB", "typed, every: 20ms")
	tail := c.start("tail", "-o", "jsonl")
	c.attached("ringside tail")
	c.write(", bytes: 2MiB", "typed, every: 20ms")
	c.process.signal(syscall.SIGHUP)
	c.await("the larger ring", func() bool { return c.ring().Bytes == 2<<20 })
	c.attached("ringside tail")
	tail.signal(syscall.SIGINT)
	tail.wait().exits(exitOK, `"kind":"restart"`, `"frames":0,"rows":0,"exact":true}`)
}

func TestReloadOfABadFileChangesNothing(t *testing.T) {
	c := newConfigured(t, "", "typed, every: 20ms")
	c.write("", "typed, every: 20ms, colour: red", "plain")
	c.run("reload").exits(exitConfig, "colour", c.file+":5")
	c.write(", bytes: 4KiB", "typed, every: 20ms", "large")
	c.pin("large", largeMap)
	c.run("reload").exits(exitConfig, `ring "main"`, "4KiB")
	c.write("", "typed, every: 20ms", "plain")
	if err := os.WriteFile(c.file, []byte(strings.Replace(readAll(t, c.file), "maps:", "reader: {duty: 30%}\nmaps:", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run("reload").exits(exitConfig, "reader", "--takeover")
	if c.sources() != "typed" {
		t.Errorf("sources %s", c.sources())
	}
}

func TestReloadReplacesRules(t *testing.T) {
	allow := fmt.Sprintf(", allow: {uids: [%d]}", bpftest.Nobody)
	c := newConfigured(t, allow, "typed, every: 20ms")
	nobody := c.as(bpftest.Nobody)
	nobody.run("reload").exits(exitPermission, "only root and the sidecar's own user")
	tail := nobody.start("tail", "-o", "jsonl")
	c.attached("ringside tail")
	mine := c.start("tail", "-o", "jsonl")
	c.await("two readers", func() bool { return len(c.ring().Consumers) == 2 })
	c.write("", "typed, every: 20ms")
	c.run("reload").exits(exitOK, "rings replaced: main\n")
	if out := tail.wait().exits(exitPermission); strings.Contains(out.stderr, "gone") {
		t.Errorf("whose right was taken away is told: %s", out.stderr)
	}
	mine.signal(syscall.SIGINT)
	mine.wait().exits(exitOK)
	c.write(allow, "typed, every: 20ms")
	c.run("reload").exits(exitOK, "let in others: main\n")
	c.run("reload").exits(exitOK, "nothing has changed\n")
	nobody.run("tail", "-n", "1").exits(exitOK)
}

func readAll(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
