// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
)

// UnpinnedMap is a map that exists without a pin under the directory asked for.
type UnpinnedMap struct {
	ID         uint32
	Name       string
	Type       ebpf.MapType
	TypeName   string
	KeySize    int
	ValueSize  int
	MaxEntries int
	Refused    string   // why nothing could be read from it; empty if something can
	Programs   []string // names of loaded programs that use it
}

// ListUnpinned lists the maps of the running system that are not pinned under dir.
// Walking ids needs CAP_SYS_ADMIN; without it the error wraps ErrPermission.
func ListUnpinned(dir string) ([]UnpinnedMap, error) {
	users, err := mapUsers()
	if err != nil {
		return nil, err
	}
	pinned := make(map[uint32]bool)
	walk(dir, func(e Entry) bool {
		if e.Kind != KindMap || e.Err != nil {
			return true
		}
		if s, err := describe(e.Path, Options{}); err == nil {
			pinned[s.info.MapID] = true
			s.Close()
		}
		return true
	})
	var out []UnpinnedMap
	for id := ebpf.MapID(0); ; {
		if id, err = ebpf.MapGetNextID(id); errors.Is(err, os.ErrNotExist) {
			return out, nil
		}
		if err != nil {
			return nil, idError("maps", err)
		}
		if pinned[uint32(id)] {
			continue
		}
		m, err := unpinnedMap(id)
		if errors.Is(err, os.ErrNotExist) {
			continue // freed since
		}
		if err != nil {
			return nil, idError("maps", err)
		}
		m.Programs = users[id]
		out = append(out, m)
	}
}

func unpinnedMap(id ebpf.MapID) (UnpinnedMap, error) {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return UnpinnedMap{}, err
	}
	defer m.Close()
	raw, errno := objInfo(m.FD())
	if errno != 0 {
		return UnpinnedMap{}, errno
	}
	t := lookupType(ebpf.MapType(raw.Type))
	if ebpf.MapType(raw.Type) == ebpf.RingBuf {
		t.refuse = "" // it has no rows, but events, and can be served once it is pinned
	}
	return UnpinnedMap{
		ID: raw.ID, Name: raw.name(), Type: ebpf.MapType(raw.Type), TypeName: t.name,
		KeySize: int(raw.KeySize), ValueSize: int(raw.ValueSize), MaxEntries: int(raw.MaxEntries),
		Refused: t.refuse,
	}, nil
}

// mapUsers finds which loaded programs use which maps.
func mapUsers() (map[ebpf.MapID][]string, error) {
	users := make(map[ebpf.MapID][]string)
	for id := ebpf.ProgramID(0); ; {
		var err error
		if id, err = ebpf.ProgramGetNextID(id); errors.Is(err, os.ErrNotExist) {
			return users, nil
		}
		if err != nil {
			return nil, idError("programs", err)
		}
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // unloaded since
		}
		if info, err := p.Info(); err == nil {
			ids, _ := info.MapIDs()
			for _, m := range ids {
				users[m] = append(users[m], info.Name)
			}
		}
		p.Close()
	}
}

func idError(what string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("list the %s of the system: %w: %w; it needs CAP_SYS_ADMIN: run as root", what, ErrPermission, err)
	}
	return fmt.Errorf("list the %s of the system: %w", what, err)
}
