// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
)

var small = ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 16}

// wantPinError fails unless err is a *PinError about cause whose text has all parts.
func wantPinError(t *testing.T, err, cause error, parts ...string) *reader.PinError {
	t.Helper()
	var pe *reader.PinError
	if !errors.As(err, &pe) || !errors.Is(err, cause) {
		t.Fatalf("got %v, want a PinError about %v", err, cause)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q lacks %q", err, p)
		}
	}
	return pe
}

func TestOpenMissingPinNamesNeighbours(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	missing := filepath.Join(dir, "flwos")
	_, err := reader.Open(missing, reader.Options{})
	wantPinError(t, err, reader.ErrNotPinned, missing, "nothing is pinned in "+dir)

	m := bpftest.NewMap(t, &small)
	for _, name := range []string{"flows", "zebra", "alpha", "omega"} {
		bpftest.Pin(t, m, dir, name)
	}
	_, err = reader.Open(missing, reader.Options{})
	wantPinError(t, err, reader.ErrNotPinned, missing, "nearest: "+filepath.Join(dir, "flows"))

	_, err = reader.Open(filepath.Join(dir, "alhpa", "x"), reader.Options{})
	wantPinError(t, err, reader.ErrNotPinned, "nearest: "+filepath.Join(dir, "alpha"))
}

func TestOpenOtherObjects(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	prog, link := filepath.Join(dir, "prog"), filepath.Join(dir, "link")
	if err := bpftest.NewProgram(t, "p").Pin(prog); err != nil {
		t.Fatal(err)
	}
	if err := bpftest.NewLink(t).Pin(link); err != nil {
		t.Fatal(err)
	}
	_, err := reader.Open(prog, reader.Options{})
	wantPinError(t, err, reader.ErrNotMap, prog, "it is a program")
	_, err = reader.Open(link, reader.Options{})
	wantPinError(t, err, reader.ErrNotMap, link, "it is a link")
	_, err = reader.Open(dir, reader.Options{})
	wantPinError(t, err, reader.ErrNotMap, "directory", filepath.Join(dir, "*"))
	_, err = reader.Open(filepath.Join(dir, "maps.debug"), reader.Options{})
	wantPinError(t, err, reader.ErrNotMap, "the kernel's own")
}

func TestOpenNoBPFFS(t *testing.T) {
	bpftest.RequireRoot(t)
	path := filepath.Join(t.TempDir(), "flows")
	_, err := reader.Open(path, reader.Options{})
	wantPinError(t, err, reader.ErrNotBPFFS, path, "mount -t bpf bpf "+filepath.Dir(path))
	if err := os.WriteFile(path, []byte("not a map"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = reader.Open(path, reader.Options{}) // a mount there would hide the file
	wantPinError(t, err, reader.ErrNotBPFFS, path, "; name a pin in a bpffs, which /sys/fs/bpf is on most machines")
	dir := filepath.Join(t.TempDir(), "later")
	_, err = reader.Open(filepath.Join(dir, "flows"), reader.Options{})
	wantPinError(t, err, reader.ErrNotBPFFS, dir, "; mkdir -p "+dir+" && mount -t bpf bpf "+dir)
}

func TestOpenPermissionDenied(t *testing.T) {
	_, pin := bpftest.NewPinned(t, "flows", &small)
	if err := os.Chmod(pin, 0o600); err != nil {
		t.Fatal(err)
	}
	denied := func() error {
		s, err := reader.Open(pin, reader.Options{})
		if err == nil {
			s.Close()
		}
		return err
	}
	pe := wantPinError(t, bpftest.AsUser(t, bpftest.Nobody, denied), reader.ErrPermission,
		pin, "mode 0600", "owner uid 0", "own uid 65534", "chmod o+r "+pin)
	if pe.Mode != 0o600 || pe.Owner != 0 || pe.OwnUID != bpftest.Nobody {
		t.Errorf("%+v", pe)
	}
	// The remedy works, and needs no right to write.
	if err := os.Chmod(pin, 0o604); err != nil {
		t.Fatal(err)
	}
	if err := bpftest.AsUser(t, bpftest.Nobody, denied); err != nil {
		t.Errorf("after chmod o+r: %v", err)
	}

	dir := filepath.Dir(pin)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	wantPinError(t, bpftest.AsUser(t, bpftest.Nobody, denied), reader.ErrPermission,
		"mode 0700", "chmod o+x "+dir+", or run as root")
}

func TestOpenRefused(t *testing.T) {
	_, pin := bpftest.NewPinned(t, "flows", &small)
	err := bpftest.WithoutBPF(t, unix.EPERM, func() error {
		_, err := reader.Open(pin, reader.Options{})
		return err
	}, unix.BPF_OBJ_GET)
	wantPinError(t, err, reader.ErrRefused, pin, "CAP_BPF")
	if !errors.Is(err, unix.EPERM) {
		t.Error("the errno is lost")
	}
}

func TestOpenLeaksNoDescriptor(t *testing.T) {
	_, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Array, Flags: mmapable, KeySize: 4, ValueSize: 8, MaxEntries: 16})
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	open(t, pin, reader.Options{}) // whatever is opened once and kept
	before := count()
	for range 3 {
		s, err := reader.Open(pin, reader.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if _, err := reader.Open(pin+"x", reader.Options{}); err == nil {
			t.Error("opened nothing")
		}
		if _, err := reader.Open(pin, reader.Options{Engine: "none"}); !errors.Is(err, reader.ErrNoEngine) {
			t.Error(err)
		}
		for range reader.List(filepath.Dir(pin), reader.Options{}) {
		}
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func TestOpenRefusesUnknownOptions(t *testing.T) {
	_, pin := bpftest.NewPinned(t, "flows", &small)
	if _, err := reader.Open(pin, reader.Options{Engine: "syphon"}); !errors.Is(err, reader.ErrNoEngine) || !strings.Contains(err.Error(), `"syphon"`) {
		t.Errorf("engine: %v", err)
	}
	if _, err := reader.Open(pin, reader.Options{Engine: reader.EngineMmap}); !errors.Is(err, reader.ErrNoEngine) || !strings.Contains(err.Error(), "BPF_F_MMAPABLE") {
		t.Errorf("engine that cannot: %v", err)
	}
	if _, err := reader.Open(pin, reader.Options{PerCPU: "mean"}); err == nil || !strings.Contains(err.Error(), `"mean"`) {
		t.Errorf("percpu: %v", err)
	}
	if _, err := reader.Open(pin, reader.Options{Consistency: "eventual"}); err == nil || !strings.Contains(err.Error(), `"eventual"`) {
		t.Errorf("consistency: %v", err)
	}
}
