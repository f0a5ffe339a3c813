// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/reader"
)

func TestPinPathsDoNotCollide(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "taken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	names := pinNames{dir: dir, taken: map[string]bool{}}
	for _, c := range []struct {
		id         uint32
		name, want string
	}{
		{1, "flows", "flows"},
		{2, "flows", "flows_2"},
		{3, "prog.rodata", "prog_rodata"}, // a bpffs takes no dots
		{4, "", "map_4"},
		{5, "taken", "taken_5"},
		{6, "a b;c", "a_b_c"},
	} {
		got := names.path(&reader.UnpinnedMap{ID: c.id, Name: c.name})
		if got != filepath.Join(dir, c.want) {
			t.Errorf("map %d %q: %s, want %s", c.id, c.name, got, c.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for path, want := range map[string]string{
		"/sys/fs/bpf/flows": "/sys/fs/bpf/flows",
		"/my bpf/$x":        "'/my bpf/$x'",
		"/it's":             `'/it'\''s'`,
	} {
		if got := quote(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestSchemaColumn(t *testing.T) {
	for _, c := range []struct {
		m         Map
		cell, why string
	}{
		{Map{Schema: true, Readable: true, EngineReason: "fast"}, "yes", "fast"},
		{Map{SchemaReason: "no BTF", Readable: true, EngineReason: "fast"}, "no", "fast; no schema: no BTF"},
		{Map{Schema: true, SchemaReason: "no BTF", Readable: true, EngineReason: "fast"}, "in part", "fast; no more of a schema: no BTF"},
		{Map{SchemaReason: "no BTF", EngineReason: "a stream"}, "no", "a stream"},
	} {
		if cell, why := c.m.schemaCell(), c.m.why(); cell != c.cell || why != c.why {
			t.Errorf("%+v: %q, %q", c.m, cell, why)
		}
	}
}

func TestMountsAreFound(t *testing.T) {
	got := bpffsMounts(strings.NewReader(`proc /proc proc rw 0 0
bpf /sys/fs/bpf bpf rw,mode=700 0 0
bpf /run/my\040bpf bpf rw 0 0
none`))
	if want := []string{"/sys/fs/bpf", "/run/my bpf"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What bpffs puts there by itself is told from pins that cannot be opened.
func TestPassedOverSaysWhy(t *testing.T) {
	denied := &reader.PinError{Path: "/b/secret", Cause: reader.ErrPermission}
	entries := []reader.Entry{
		{Path: "/b/maps.debug", Kind: reader.KindOther, Err: &reader.PinError{Path: "/b/maps.debug", Cause: reader.ErrNotPinned}},
		{Path: "/b/link", Kind: reader.KindLink},
		{Path: "/b/secret", Kind: reader.KindOther, Err: denied},
	}
	_, err := collect("/b", slices.Values(entries))
	if !errors.Is(err, ErrNothingReadable) || !errors.Is(err, reader.ErrPermission) {
		t.Errorf("no map, one denied: %v", err)
	}
	entries = append(entries, reader.Entry{Path: "/b/flows", Kind: reader.KindMap, Info: &reader.Info{Name: "flows", Pin: "/b/flows"}})
	doc, err := collect("/b", slices.Values(entries))
	if err != nil {
		t.Fatal(err)
	}
	want := []Passed{
		{"/b/maps.debug", "file", "the kernel's own, a text to be read with cat"},
		{"/b/link", "link", "a link, not a map"},
		{"/b/secret", "other", "permission denied"},
	}
	if !slices.Equal(doc.PassedOver, want) || len(doc.Maps) != 1 || !doc.Maps[0].Readable {
		t.Errorf("got %+v", doc)
	}
}
