// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/reader"
)

// Unpinned is the document of `maps --unpinned -o json`.
type Unpinned struct {
	SchemaVersion int    `json:"schema_version"`
	BPFFS         string `json:"bpffs"`
	Maps          []Free `json:"unpinned"`
}

// Free is a map of the running system that has no pin below the directory.
type Free struct {
	MapID        uint32   `json:"map_id"`
	MapName      string   `json:"map_name"`
	MapType      string   `json:"map_type"`
	KeySize      int      `json:"key_size"`
	MapValueSize int      `json:"map_value_size"`
	MaxEntries   int      `json:"max_entries"`
	Programs     []string `json:"programs"` // that use it; none: only a process holds it open
	Readable     bool     `json:"readable"`
	Reason       string   `json:"reason,omitempty"`      // why it is not
	PinCommand   string   `json:"pin_command,omitempty"` // empty if pinning would be of no use
}

// CollectUnpinned finds the maps without a pin below dir, which must be a bpffs
// for them to be pinned there.
func CollectUnpinned(dir string) (*Unpinned, error) {
	for e := range reader.List(dir, reader.Options{}) {
		if e.Kind == reader.KindDir && e.Path == dir {
			return nil, rootError(dir, e.Err)
		}
		break // the directory can be listed
	}
	found, err := reader.ListUnpinned(dir)
	if err != nil {
		return nil, err
	}
	doc := &Unpinned{SchemaVersion: SchemaVersion, BPFFS: dir, Maps: []Free{}}
	names := pinNames{dir: dir, taken: map[string]bool{}}
	for i := range found {
		m := &found[i]
		f := Free{
			MapID: m.ID, MapName: m.Name, MapType: m.TypeName, KeySize: m.KeySize, MapValueSize: m.ValueSize,
			MaxEntries: m.MaxEntries, Programs: append([]string{}, m.Programs...),
			Readable: m.Refused == "", Reason: m.Refused,
		}
		if f.Readable {
			f.PinCommand = fmt.Sprintf("bpftool map pin id %d %s", m.ID, quote(names.path(m)))
		}
		doc.Maps = append(doc.Maps, f)
	}
	return doc, nil
}

// pinNames gives every map a path of its own that is still free, so that all
// the commands can be run.
type pinNames struct {
	dir   string
	taken map[string]bool
}

func (p *pinNames) path(m *reader.UnpinnedMap) string {
	name := strings.Map(pinRune, m.Name)
	if name == "" {
		name = "map"
	}
	path := filepath.Join(p.dir, name)
	if p.taken[path] || exists(path) || m.Name == "" {
		path = fmt.Sprintf("%s_%d", path, m.ID)
	}
	p.taken[path] = true
	return path
}

func exists(path string) bool {
	err := unix.Access(path, unix.F_OK)
	return !errors.Is(err, os.ErrNotExist)
}

// pinRune keeps what a bpffs allows in names: it keeps dots for itself.
func pinRune(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		return r
	}
	return '_'
}

// quote makes a path one word of a shell.
func quote(path string) string {
	plain := func(r rune) bool { return r == '/' || r == '.' || pinRune(r) == r }
	if strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
