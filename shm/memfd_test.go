// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Everything below is tried as root, whom file modes do not stop: the seals have
// to. Consumers of other users are tried in package handoff.
func TestNobodyCanChangeTheRing(t *testing.T) {
	p := newTestRing(t, 16<<10)
	f, size := p.File(), int64(p.Geometry().TotalBytes)
	fd := int(f.Fd())
	if _, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("a writable mapping of the passed descriptor")
	}
	ro, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(ro)
	if err := unix.Mprotect(ro, unix.PROT_READ|unix.PROT_WRITE); err == nil {
		t.Error("mprotect made the mapping writable")
	}
	// Root reopens the memory for writing: allowed by the mode, useless by the seals.
	rw, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDWR, 0)
	if err != nil {
		t.Skipf("cannot even be reopened: %v", err)
	}
	defer rw.Close()
	if _, err := rw.WriteAt([]byte{1}, 0); err == nil {
		t.Error("write(2) changed the ring")
	}
	if _, err := unix.Mmap(int(rw.Fd()), 0, int(size), unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("a writable mapping of a reopened descriptor")
	}
	if err := rw.Truncate(0); err == nil {
		t.Error("the ring was cut")
	}
	if err := rw.Truncate(2 * size); err == nil {
		t.Error("the ring was grown")
	}
	if err := unix.Fallocate(int(rw.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096); err == nil {
		t.Error("a hole was punched into the ring")
	}
	if _, err := unix.FcntlInt(rw.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); err == nil {
		t.Error("another seal was added")
	}
}

func TestOpenRefusesWhatCouldChange(t *testing.T) {
	f, err := createMemfd("unsealed", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Open(f); !errors.Is(err, ErrSeals) {
		t.Errorf("unsealed memory: %v", err)
	}
	if _, err := OpenControlPage(f); !errors.Is(err, ErrSeals) {
		t.Errorf("unsealed control page: %v", err)
	}
	if err := seal(f, ringSeals); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(f); !errors.Is(err, ErrNotARing) {
		t.Errorf("sealed zeroes: %v", err)
	}
	if _, err := OpenControlPage(f); !errors.Is(err, ErrGeometry) {
		t.Errorf("control page of a megabyte: %v", err)
	}
	regular, err := os.Create(t.TempDir() + "/ring")
	if err != nil {
		t.Fatal(err)
	}
	defer regular.Close()
	if _, err := Open(regular); !errors.Is(err, ErrSeals) {
		t.Errorf("a regular file: %v", err)
	}
}

func TestOpenReadsWhatIsPublished(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "flows")
	publishRows(t, r, 0, 10, FlagFirst|FlagLast)
	ring, err := Open(p.File())
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	if ring.Geometry() != p.Geometry() || ring.State() != StateLive {
		t.Fatalf("%+v %v", ring.Geometry(), ring.State())
	}
	got, _ := readAll(t, NewCursor(ring, Position{}, StartOldest, AnySource), make([]byte, ring.Geometry().LargestFrame))
	got.mustEqual(t, p.Totals())
}

// Publisher and reader map huge pages as such, where there are some: the kernel
// says so of both mappings. The address that is asked for is free, but not kept, so
// somebody else may have it in one try.
func TestHugePagesAreMappedAsSuch(t *testing.T) {
	var got []int
	for range 10 {
		p := newTestRing(t, 4<<20)
		if !p.HugePages() {
			t.Log("the kernel gives none") // before Linux 6.1, or short of memory
			return
		}
		r, err := Open(p.File())
		if err != nil {
			t.Fatal(err)
		}
		if mappedKB(t, p.mem, "Rss:") < 4<<10 {
			t.Log("an emulator does not populate what it maps")
			return
		}
		got = []int{mappedKB(t, p.mem, "ShmemPmdMapped:"), mappedKB(t, r.mem, "ShmemPmdMapped:")}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if got[0] == 4<<10 && got[1] == 4<<10 {
			return
		}
	}
	t.Errorf("of 4112 kB, %v are mapped by huge pages", got)
}

// mappedKB is a figure that the kernel has of a mapping.
func mappedKB(t *testing.T, m memory, name string) (kb int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, from, found := strings.Cut(string(maps), fmt.Sprintf("%p-", &m[0])[2:])
	if !found {
		t.Fatalf("no mapping at %p", &m[0])
	}
	_, from, _ = strings.Cut(from, name)
	if _, err := fmt.Sscan(from, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}
