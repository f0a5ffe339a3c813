// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
)

// populate pins one of each kind, two directories deep, with trouble between.
func populate(t *testing.T) string {
	dir := bpftest.MountBPFFS(t)
	for _, sub := range []string{"a", "b", "foreign", "secret"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	bpftest.Pin(t, bpftest.NewMap(t, &small), dir, "a/flows")
	bpftest.Pin(t, bpftest.NewMap(t, &small), dir, "b/flows")
	bpftest.Pin(t, bpftest.NewMap(t, &small), dir, "top")
	bpftest.Pin(t, bpftest.NewMap(t, &small), dir, "secret/hidden")
	bpftest.Pin(t, bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Queue, ValueSize: 4, MaxEntries: 1}), dir, "a/jobs")
	if err := bpftest.NewProgram(t, "p").Pin(filepath.Join(dir, "a/prog")); err != nil {
		t.Fatal(err)
	}
	if err := bpftest.NewLink(t).Pin(filepath.Join(dir, "b/link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("top", filepath.Join(dir, "alias")); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign")
	if err := unix.Mount("tmpfs", foreign, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(foreign, unix.MNT_DETACH) })
	return dir
}

func TestList(t *testing.T) {
	dir := populate(t)
	found := make(map[string]reader.Entry)
	for e := range reader.List(dir, reader.Options{}) {
		rel, _ := filepath.Rel(dir, e.Path)
		found[rel] = e
	}
	for path, kind := range map[string]reader.Kind{
		"a/flows": reader.KindMap, "b/flows": reader.KindMap, "top": reader.KindMap, "secret/hidden": reader.KindMap,
		"a/prog": reader.KindProgram, "b/link": reader.KindLink, "a/jobs": reader.KindMap,
		"alias": reader.KindSymlink, "foreign": reader.KindDir,
	} {
		e, ok := found[path]
		if !ok || e.Kind != kind {
			t.Errorf("%s: %+v (found %v), want %s", path, e, ok, kind)
		}
	}
	if e := found["a/flows"]; e.Err != nil || e.Info == nil || e.Info.Engine != reader.EnginePump || e.Info.EngineReason == "" || e.Info.KeySize != 4 {
		t.Errorf("a map: %+v", e)
	}
	if e := found["a/jobs"]; !errors.Is(e.Err, reader.ErrUnsupported) || e.Info == nil || e.Info.TypeName != "queue" {
		t.Errorf("an unreadable map: %+v", e)
	}
	if e := found["foreign"]; e.Err == nil || !strings.Contains(e.Err.Error(), "another file system") {
		t.Errorf("a foreign mount: %+v", e)
	}
}

func TestListPassesOverWhatIsForbidden(t *testing.T) {
	dir := populate(t)
	if err := os.Chmod(filepath.Join(dir, "secret"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "top"), 0o644); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]reader.Entry)
	if err := bpftest.AsUser(t, bpftest.Nobody, func() error {
		for e := range reader.List(dir, reader.Options{}) {
			rel, _ := filepath.Rel(dir, e.Path)
			found[rel] = e
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if e := found["top"]; e.Kind != reader.KindMap || e.Err != nil {
		t.Errorf("readable: %+v", e)
	}
	for _, path := range []string{"a/flows", "secret"} {
		if e := found[path]; !errors.Is(e.Err, reader.ErrPermission) {
			t.Errorf("%s: %+v, want ErrPermission", path, e)
		}
	}
}

func TestListNothing(t *testing.T) {
	bpftest.RequireRoot(t)
	for dir, want := range map[string]error{t.TempDir(): reader.ErrNotBPFFS, filepath.Join(bpftest.MountBPFFS(t), "x"): reader.ErrNotPinned} {
		n := 0
		for e := range reader.List(dir, reader.Options{}) {
			n++
			wantPinError(t, e.Err, want, dir)
		}
		if n != 1 {
			t.Errorf("%s: %d entries", dir, n)
		}
	}
}

// An entry that goes away between the listing and the look at it.
func TestListVanishingEntries(t *testing.T) {
	dir := populate(t)
	var vanished reader.Entry
	for e := range reader.List(dir, reader.Options{}) {
		if e.Path == filepath.Join(dir, "b/flows") {
			if err := os.Remove(filepath.Join(dir, "b/link")); err != nil {
				t.Fatal(err)
			}
		}
		if e.Path == filepath.Join(dir, "b/link") {
			vanished = e
		}
	}
	if !errors.Is(vanished.Err, reader.ErrNotPinned) {
		t.Errorf("%+v", vanished)
	}
}

func TestFind(t *testing.T) {
	dir := populate(t)
	for _, tc := range []struct {
		pattern string
		pins    []string
		passed  []string
	}{
		{"*/flows", []string{"a/flows", "b/flows"}, []string{"foreign"}},
		{"a/*", []string{"a/flows", "a/jobs"}, []string{"a/prog"}},
		{"t?p", []string{"top"}, nil},
		{"nothing*", nil, nil},
		{"plain", []string{"plain"}, nil}, // a path is a promise, Open will tell
	} {
		pins, passed, err := reader.Find(filepath.Join(dir, tc.pattern))
		if err != nil {
			t.Errorf("%s: %v", tc.pattern, err)
			continue
		}
		var rest []string
		for i := range pins {
			pins[i], _ = filepath.Rel(dir, pins[i])
		}
		for _, e := range passed {
			rel, _ := filepath.Rel(dir, e.Path)
			rest = append(rest, rel)
		}
		slices.Sort(pins)
		if !slices.Equal(pins, tc.pins) || !slices.Equal(rest, tc.passed) {
			t.Errorf("%s: %q and %q, want %q and %q", tc.pattern, pins, rest, tc.pins, tc.passed)
		}
	}
	if _, _, err := reader.Find(filepath.Join(dir, "[")); !errors.Is(err, filepath.ErrBadPattern) {
		t.Errorf("bad pattern: %v", err)
	}
	if _, _, err := reader.Find(filepath.Join(t.TempDir(), "*")); !errors.Is(err, reader.ErrNotBPFFS) {
		t.Errorf("no bpffs: %v", err)
	}
}

func TestListUnpinned(t *testing.T) {
	free, pinned := bpftest.NewMap(t, &small), bpftest.NewMap(t, &small)
	bpftest.NewProgram(t, "user_of_map", free, pinned)
	dir := bpftest.MountBPFFS(t)
	bpftest.Pin(t, pinned, dir, "pinned")
	id := func(m *ebpf.Map) uint32 {
		info, err := m.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		return uint32(id)
	}
	maps, err := reader.ListUnpinned(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	for _, m := range maps {
		if m.ID == id(pinned) {
			t.Errorf("%+v is pinned", m)
		}
		if m.ID == id(free) {
			seen = true
			if m.TypeName != "hash" || m.KeySize != 4 || m.ValueSize != 8 || m.Refused != "" || !slices.Equal(m.Programs, []string{"user_of_map"}) {
				t.Errorf("%+v", m)
			}
		}
	}
	if !seen {
		t.Error("an unpinned map was not found")
	}
	err = bpftest.AsUser(t, bpftest.Nobody, func() error {
		_, err := reader.ListUnpinned(dir)
		return err
	})
	if !errors.Is(err, reader.ErrPermission) || !strings.Contains(err.Error(), "CAP_SYS_ADMIN") {
		t.Errorf("without rights: %v", err)
	}
}
