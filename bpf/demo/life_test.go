// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"golang.org/x/sys/unix"
)

// eventually repeats a condition that makes its own progress.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

// names lists a directory. A new bpffs is not empty where the kernel has CONFIG_BPF_PRELOAD.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Name()
	}
	return strings.Join(list, " ")
}

func TestCloseLeavesNothing(t *testing.T) {
	d := loadDemo(t, Syscalls)
	dir := bpftest.MountBPFFS(t)
	before := names(t, dir)
	if err := d.Pin(dir); err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, Syscalls), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var programs []ebpf.ProgramID
	for _, l := range d.loaded {
		for _, p := range l.coll.Programs {
			info, err := p.Info()
			if err != nil {
				t.Fatal(err)
			}
			id, _ := info.ID()
			programs = append(programs, id)
		}
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	getppid(100)
	if n, err := callsOf(m, ownKey(unix.SYS_GETPPID)); n != 0 || err != nil {
		t.Errorf("still counting after Close: %d, %v", n, err)
	}
	if left := names(t, dir); left != before {
		t.Errorf("pins left: %q, before %q", left, before)
	}
	for _, id := range programs {
		// The kernel frees a program only when no CPU can be running it any more.
		eventually(t, "a program is freed", func() bool {
			p, err := ebpf.NewProgramFromID(id)
			p.Close()
			return errors.Is(err, os.ErrNotExist)
		})
	}
	if _, err := d.Sweep(); !errors.Is(err, ErrLeftOut) {
		t.Errorf("sweep after Close: %v", err)
	}
}

func TestPinTakesBackWhatItPinned(t *testing.T) {
	d := loadDemo(t)
	dir := bpftest.MountBPFFS(t)
	bpftest.Pin(t, bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}), dir, TCPStates)
	before := names(t, dir)
	if err := d.Pin(dir); !errors.Is(err, os.ErrExist) || !strings.Contains(err.Error(), TCPStates) {
		t.Fatalf("pinned over a stranger's pin: %v", err)
	}
	if left := names(t, dir); left != before {
		t.Fatalf("left after the error: %q, want %q", left, before)
	}
}

func TestMissingTracepointLeavesOutThatPart(t *testing.T) {
	bpftest.RequireRoot(t)
	lean := source{name: TCPStates, spec: loadTcpStates, adapt: func(spec *ebpf.CollectionSpec) error {
		spec.Programs[tcpStatesProgCountChange].AttachTo = "no_such_tracepoint"
		return nil
	}}
	d, err := load([]source{lean, {name: Processes, spec: loadProcesses}}, pidNamespace{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	parts := d.Parts()
	if len(parts) != 2 || parts[0].Err == nil || parts[1].Err != nil {
		t.Fatalf("parts: %+v", parts)
	}
	if why := parts[0].Err.Error(); !strings.Contains(why, "no tracepoint no_such_tracepoint") {
		t.Errorf("reason does not name the tracepoint: %s", why)
	}
	dir := bpftest.MountBPFFS(t)
	if err := d.Pin(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, TCPStates)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a part that was left out is pinned: %v", err)
	}
	if _, err := d.Uncounted(); !errors.Is(err, ErrLeftOut) {
		t.Errorf("uncounted of a part that does not run: %v", err)
	}

	if _, err := load([]source{lean}, pidNamespace{}); !errors.Is(err, ErrNothingLoaded) {
		t.Errorf("nothing left to run: %v", err)
	}
}

func TestWithoutPrivilege(t *testing.T) {
	err := bpftest.AsUser(t, bpftest.Nobody, func() error {
		d, err := Load()
		if err == nil {
			d.Close()
		}
		return err
	})
	if !errors.Is(err, ErrPermission) || !strings.Contains(err.Error(), "CAP_BPF") {
		t.Fatalf("loaded as nobody: %v", err)
	}
}

func TestBoundedEntries(t *testing.T) {
	for _, c := range []struct{ cpus, want uint32 }{{1, 32768}, {2, 32768}, {32, 32768}, {33, 16384}, {128, 8192}, {8192, 4096}} {
		if got := boundedEntries(32768, 8*c.cpus); got != c.want {
			t.Errorf("%d CPUs: %d entries, want %d", c.cpus, got, c.want)
		}
	}
}
