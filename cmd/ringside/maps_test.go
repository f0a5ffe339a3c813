// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/inventory"
)

func document[T any](t *testing.T, r result) T {
	t.Helper()
	var doc T
	if err := json.Unmarshal([]byte(r.exits(exitOK).stdout), &doc); err != nil {
		t.Fatalf("%v in %s", err, r.stdout)
	}
	return doc
}

func TestMapsShowsWhatIsPinned(t *testing.T) {
	s := newRootShell(t)
	s.pin("typed", typedMap)
	s.pin("plain", plainMap)
	s.pin("stream", ringbufMap)
	if err := os.Mkdir(filepath.Join(s.bpffs, "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.pin("below/percpu", perCPUMap)
	if err := bpftest.NewProgram(t, "prog").Pin(filepath.Join(s.bpffs, "prog")); err != nil {
		t.Fatal(err)
	}

	s.run("maps", "--bpffs", s.bpffs).exits(exitOK, "PIN", "MAX ENTRIES", "pump", "stream with a single read position", "a program, not a map")
	doc := document[inventory.Pinned](t, s.run("maps", "-o", "json", "--bpffs", s.bpffs))
	byPin := map[string]inventory.Map{}
	for _, m := range doc.Maps {
		byPin[strings.TrimPrefix(m.Pin, s.bpffs+"/")] = m
	}
	typed, plain, stream, perCPU := byPin["typed"], byPin["plain"], byPin["stream"], byPin["below/percpu"]
	if doc.SchemaVersion != 1 || len(doc.Maps) != 4 {
		t.Errorf("schema_version %d, %d maps", doc.SchemaVersion, len(doc.Maps))
	}
	if !typed.Schema || !typed.Readable || typed.MapType != "hash" || typed.KeySize != 8 || typed.ValueSize != 56 || typed.EngineReason == "" {
		t.Errorf("typed: %+v", typed)
	}
	if plain.Schema || plain.SchemaReason == "" || !plain.Readable {
		t.Errorf("plain: %+v", plain)
	}
	if stream.Readable || stream.Engine != "ringbuf" || !strings.Contains(stream.EngineReason, "mode: events") || strings.Contains(stream.EngineReason, "cannot be read") {
		t.Errorf("stream: %+v", stream)
	}
	if perCPU.CPUs == 0 || perCPU.MapValueSize != 8 || perCPU.ValueSize != 8*perCPU.CPUs {
		t.Errorf("percpu: %+v", perCPU)
	}
	if !slices.ContainsFunc(doc.PassedOver, func(p inventory.Passed) bool {
		return p.Path == filepath.Join(s.bpffs, "prog") && p.Kind == "program"
	}) {
		t.Errorf("passed over: %+v", doc.PassedOver)
	}
}

func TestMapsAdvises(t *testing.T) {
	s := newRootShell(t)
	s.pin("plain", plainMap)
	s.pin("stream", ringbufMap)
	s.run("maps", "--advise", "--bpffs", s.bpffs).exits(exitOK, "PIN", "plain: a scan brings")
	for _, m := range document[inventory.Pinned](t, s.run("maps", "--advise", "-o", "json", "--bpffs", s.bpffs)).Maps {
		if asked := m.Cost != nil && m.Advice != nil; asked != m.Readable {
			t.Errorf("%+v", m)
		}
	}
	for _, m := range document[inventory.Pinned](t, s.run("maps", "-o", "json", "--bpffs", s.bpffs)).Maps {
		if m.Cost != nil || m.Advice != nil {
			t.Errorf("not asked for: %+v", m)
		}
	}
	s.run("maps", "--advise", "--unpinned", "--bpffs", s.bpffs).exits(exitUsage, "pin them first")
}

func TestMapsPinsWhatRuns(t *testing.T) {
	s := newRootShell(t)
	s.pin("loose", plainMap) // takes the name that the map below would get
	m, err := typedMap()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	bpftest.NewProgram(t, "user", m)

	find := func() (found inventory.Free, ok bool) {
		doc := document[inventory.Unpinned](t, s.run("maps", "--unpinned", "-o", "json", "--bpffs", s.bpffs))
		i := slices.IndexFunc(doc.Maps, func(m inventory.Free) bool { return m.MapID == uint32(id) })
		if i < 0 {
			return found, false
		}
		return doc.Maps[i], true
	}
	free, ok := find()
	if !ok || !free.Readable || !slices.Equal(free.Programs, []string{"user"}) {
		t.Fatalf("found %v: %+v", ok, free)
	}
	pin := strings.Fields(free.PinCommand)
	if _, err := exec.LookPath(pin[0]); err != nil {
		bpftest.Skip(t, "needs bpftool: %v", err)
	}
	if out, err := exec.Command(pin[0], pin[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", free.PinCommand, err, out)
	}
	if _, ok := find(); ok {
		t.Error("still listed after it was pinned")
	}
	s.run("maps", "--bpffs", s.bpffs).exits(exitOK, pin[len(pin)-1])
}

func TestMapsThatCannotBeSeen(t *testing.T) {
	s := newRootShell(t)
	nobody := s.as(bpftest.Nobody)
	s.pin("typed", typedMap) // mode 0600
	nobody.run("maps", "--bpffs", s.bpffs).exits(exitPermission, "typed", "own uid 65534", "chmod")
	nobody.run("maps", "--bpffs", s.bpffs, "--unpinned").exits(exitPermission, "CAP_SYS_ADMIN")
	if err := os.Chmod(s.bpffs, 0o700); err != nil {
		t.Fatal(err)
	}
	nobody.run("maps", "--bpffs", s.bpffs).exits(exitPermission, s.bpffs)
	s.run("maps", "--bpffs", filepath.Join(s.bpffs, "typed")).exits(exitUsage, "--bpffs "+s.bpffs)
	s.run("maps", "--bpffs", filepath.Join(s.bpffs, "nope")).exits(exitConfig)
}

func TestMapsUsage(t *testing.T) {
	s := newShell(t)
	s.run("maps", "--bpffs", filepath.Dir(s.socket)).exits(exitConfig, "no bpffs is mounted there")
	s.run("maps", "-o", "xml").exits(exitUsage)
	s.run("maps", "extra").exits(exitUsage)
}
