// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
)

// machine is a group database.
type machine map[string]uint32

func (m machine) lookup(name string) (uint32, error) {
	if gid, ok := m[name]; ok {
		return gid, nil
	}
	return 0, fmt.Errorf("%w %q", ErrNoGroup, name)
}

func TestDecide(t *testing.T) {
	r := &Rules{Ring: "main", OwnUID: 200, UIDs: []uint32{1000}, GIDs: []uint32{5}, Groups: []Group{{"ringside", 998}}}
	for _, tt := range []struct {
		name string
		peer Peer
		rule string // empty: denied
	}{
		{"root", Peer{UID: 0, GID: 7}, "root"},
		{"own uid", Peer{UID: 200}, "the sidecar's own uid"},
		{"uid", Peer{UID: 1000, GID: 1000}, "uid 1000"},
		{"primary gid", Peer{UID: 1, GID: 5}, "gid 5"},
		{"supplementary gid", Peer{UID: 1, GID: 1, Groups: []uint32{4, 5}}, "gid 5"},
		{"group", Peer{UID: 1, GID: 998}, "group ringside (gid 998)"},
		{"supplementary group", Peer{UID: 1, GID: 1, Groups: []uint32{998}}, "group ringside (gid 998)"},
		{"a uid is no gid", Peer{UID: 5, GID: 1000}, ""},
		{"gid 0 is not root", Peer{UID: 1, GID: 0, Groups: []uint32{0}}, ""},
		{"overflow uid", Peer{UID: overflowID, GID: overflowID}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rule, err := r.Decide(tt.peer)
			if rule != tt.rule || (err == nil) != (tt.rule != "") || err != nil && !errors.Is(err, ErrDenied) {
				t.Fatalf("got %q, %v; want %q", rule, err, tt.rule)
			}
		})
	}
}

func TestDenialSaysWhatToDo(t *testing.T) {
	_, err := (&Rules{Ring: "main"}).Decide(Peer{UID: 1000, GID: 100})
	want := `uid 1000 (gid 100) may not attach to ring "main": not allowed: its rules let in root alone; start 'ringside serve' with --allow-uid 1000, or name it in the ring's allow and reload`
	if err == nil || err.Error() != want {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
	_, err = (&Rules{Ring: "main", OwnUID: 7, UIDs: []uint32{5}, Groups: []Group{{"ringside", 998}}}).Decide(Peer{UID: 1000})
	want = "its rules let in root, uid 7 (the sidecar's own), uid 5, group ringside (gid 998); start 'ringside serve' with --allow-uid 1000, or name it in the ring's allow and reload, or add the user to group ringside and log in again"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
}

func TestCompile(t *testing.T) {
	db := machine{"ringside": 998, "ops": 50}
	ring := config.Ring{Name: "main", Origin: "f:3: rings[0]", Allow: config.Allow{UIDs: []uint32{1000}, Groups: []string{"ops", "ops"}}}
	r, err := Compile(ring, 0, db.lookup)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.String(), "root, uid 1000, group ops (gid 50), group ringside (gid 998)"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if r, err := Compile(config.Ring{Name: "main"}, 0, machine{}.lookup); err != nil || !r.Closed() {
		t.Fatalf("without any rule or group: %v, %v", r, err)
	}
	_, err = Compile(ring, 0, machine{}.lookup)
	if !errors.Is(err, ErrNoGroup) || !strings.Contains(err.Error(), "f:3: rings[0]: allow.groups") {
		t.Fatalf("missing group: %v", err)
	}
}

func TestLookupGroup(t *testing.T) {
	if gid, err := LookupGroup("root"); err != nil || gid != 0 {
		t.Fatalf("root: %d, %v", gid, err)
	}
	_, err := LookupGroup("no-such-group-here")
	if !errors.Is(err, ErrNoGroup) || !strings.Contains(err.Error(), "groupadd --system no-such-group-here") {
		t.Fatal(err)
	}
}

func TestSocketMode(t *testing.T) {
	db := machine{"ringside": 998, "ops": 50}
	mode := fs.FileMode(0o640)
	group := func(gids ...uint32) *Rules {
		r := &Rules{}
		for _, g := range gids {
			r.Groups = append(r.Groups, Group{"g", g})
		}
		return r
	}
	for _, tt := range []struct {
		name   string
		socket config.Socket
		rules  []*Rules
		mode   fs.FileMode
		gid    int
	}{
		{"no rule", config.Socket{}, []*Rules{{}}, 0o600, KeepGID},
		{"one group", config.Socket{}, []*Rules{group(998)}, 0o660, 998},
		{"one group, two rings", config.Socket{}, []*Rules{group(998), group(998)}, 0o660, 998},
		{"two groups", config.Socket{}, []*Rules{group(998), group(50)}, 0o666, KeepGID},
		{"uid", config.Socket{}, []*Rules{group(998), {UIDs: []uint32{1}}}, 0o666, KeepGID},
		{"gid", config.Socket{}, []*Rules{{GIDs: []uint32{1}}}, 0o666, KeepGID},
		{"configured", config.Socket{Group: "ops", Mode: &mode}, []*Rules{{UIDs: []uint32{1}}}, 0o640, 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mode, gid, err := SocketMode(tt.socket, tt.rules, db.lookup)
			if err != nil || mode != tt.mode || gid != tt.gid {
				t.Fatalf("got %04o, %d, %v; want %04o, %d", mode, gid, err, tt.mode, tt.gid)
			}
		})
	}
	if _, _, err := SocketMode(config.Socket{Group: "none"}, nil, db.lookup); !errors.Is(err, ErrNoGroup) {
		t.Fatalf("unknown group: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	if w := (&Rules{Ring: "main", UIDs: []uint32{1000}}).Warnings(); len(w) != 0 {
		t.Fatal(w)
	}
	if w := (&Rules{Ring: "main", UIDs: []uint32{overflowID}, GIDs: []uint32{overflowID}}).Warnings(); len(w) != 2 {
		t.Fatal(w)
	}
}
