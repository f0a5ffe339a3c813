// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"errors"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

func TestMountBPFFS(t *testing.T) {
	var dir string
	t.Run("mounted", func(t *testing.T) {
		m, path := NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2})
		dir = path[:len(path)-len("/flows")]
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil || fs.Type != unix.BPF_FS_MAGIC {
			t.Fatalf("%s: type %#x, %v; want a bpffs", dir, fs.Type, err)
		}
		again, err := ebpf.LoadPinnedMap(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if again.KeySize() != m.KeySize() {
			t.Fatal("another map under the pin")
		}
	})
	if dir == "" {
		return // skipped
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s outlived its test: %v", dir, err)
	}
}

func TestAsUserChangesOneThreadOnly(t *testing.T) {
	var inside int
	err := AsUser(t, Nobody, func() error {
		inside = unix.Geteuid()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if inside != Nobody || os.Geteuid() != 0 {
		t.Fatalf("inside uid %d, outside uid %d; want %d and 0", inside, os.Geteuid(), Nobody)
	}
}

func TestWithoutBPFDeniesOneCommand(t *testing.T) {
	m := NewMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2})
	lookup := func() error {
		var v uint64
		return m.Lookup(uint32(0), &v)
	}
	if err := WithoutBPF(t, unix.EPERM, lookup, unix.BPF_MAP_LOOKUP_ELEM); !errors.Is(err, unix.EPERM) {
		t.Fatalf("denied lookup: %v", err)
	}
	if err := WithoutBPF(t, unix.EPERM, lookup, unix.BPF_MAP_CREATE); err != nil {
		t.Fatalf("other command denied, lookup: %v", err)
	}
	if err := WithoutBPF(t, unix.ENOSYS, lookup); !errors.Is(err, unix.ENOSYS) {
		t.Fatalf("all denied, lookup: %v", err)
	}
	if err := lookup(); err != nil {
		t.Fatalf("outside: %v", err)
	}
}

func TestPrograms(t *testing.T) {
	dir := MountBPFFS(t)
	if err := NewProgram(t, "p").Pin(dir + "/prog"); err != nil {
		t.Fatal(err)
	}
	if err := NewLink(t).Pin(dir + "/link"); err != nil {
		t.Fatal(err)
	}
}
