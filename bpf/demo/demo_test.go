// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"golang.org/x/sys/unix"
)

// loadDemo loads the whole demo and fails if a part this test needs was left out.
func loadDemo(t *testing.T, need ...string) *Demo {
	t.Helper()
	bpftest.RequireRoot(t)
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, p := range d.Parts() {
		for _, name := range need {
			if p.Name == name && p.Err != nil {
				bpftest.Skip(t, "this kernel cannot run %s: %v", name, p.Err)
			}
		}
	}
	return d
}

// pinned pins the demo and opens one of its maps as a stranger would.
func pinned(t *testing.T, d *Demo, name string) *ebpf.Map {
	t.Helper()
	dir := bpftest.MountBPFFS(t)
	if err := d.Pin(dir); err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// callsOf sums one thread's calls over the CPUs.
func callsOf(m *ebpf.Map, key SyscallKey) (sum uint64, err error) {
	var counts []SyscallCount
	err = m.Lookup(key, &counts)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return 0, nil
	}
	for _, c := range counts {
		sum += c.Calls
	}
	return sum, err
}

func ownKey(nr int) SyscallKey {
	return SyscallKey{Tgid: uint32(os.Getpid()), Tid: uint32(unix.Gettid()), Nr: int32(nr)}
}

func getppid(times int) {
	for range times {
		unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
	}
}

func TestSyscallsOfOneThreadAreExact(t *testing.T) {
	d := loadDemo(t, Syscalls)
	m := pinned(t, d, Syscalls)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, n := range []uint64{0, 1, 1000, 0} {
		before, err := callsOf(m, ownKey(unix.SYS_GETPPID))
		if err != nil {
			t.Fatal(err)
		}
		getppid(int(n))
		after, err := callsOf(m, ownKey(unix.SYS_GETPPID))
		if err != nil {
			t.Fatal(err)
		}
		if after-before != n {
			t.Fatalf("%d calls made, %d counted", n, after-before)
		}
	}
	if n, err := d.Uncounted(); n != 0 || err != nil {
		t.Fatalf("uncounted: %d, %v", n, err)
	}
}

func TestSyscallNumbersThatDoNotExistShareARow(t *testing.T) {
	d := loadDemo(t, Syscalls)
	m := pinned(t, d, Syscalls)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for nr := uintptr(1024); nr < 1124; nr++ {
		if _, _, e := unix.RawSyscall(nr, 0, 0, 0); e != unix.ENOSYS {
			t.Fatalf("system call %d: %v, want ENOSYS", nr, e)
		}
	}
	if n, err := callsOf(m, ownKey(-1)); n != 100 || err != nil {
		t.Fatalf("counted %d, %v; want 100", n, err)
	}
	if n, err := callsOf(m, ownKey(1024)); n != 0 || err != nil {
		t.Fatalf("a row of its own for call 1024: %d, %v", n, err)
	}
}

func TestProcessIsCharged(t *testing.T) {
	d := loadDemo(t, Processes)
	m := pinned(t, d, Processes)
	key := ProcessKey{Tgid: uint32(os.Getpid())}
	var first, p Process
	// Whatever CPUs the test runs on, it is charged for all but what each has not passed on yet.
	eventually(t, "the process has a row", func() bool {
		getppid(1000)
		runtime.Gosched()
		return m.Lookup(key, &first) == nil
	})
	const calls = 100_000
	getppid(calls)
	if err := m.Lookup(key, &p); err != nil {
		t.Fatal(err)
	}
	least := uint64(calls - 256*ebpf.MustPossibleCPU())
	if got := p.Syscalls - first.Syscalls; got < least {
		t.Errorf("%d system calls charged, want at least %d", got, least)
	}
	if p.RuntimeNs <= first.RuntimeNs {
		t.Errorf("run time did not grow: %d ns, then %d ns", first.RuntimeNs, p.RuntimeNs)
	}
	if name := filepath.Base(os.Args[0]); !strings.HasPrefix(name, p.Name()) || p.Name() == "" {
		t.Errorf("process is called %q, want the start of %q", p.Name(), name)
	}
}

func TestLatencyHistogramGrows(t *testing.T) {
	d := loadDemo(t, SchedLatency)
	m := pinned(t, d, SchedLatency)
	if m.Flags()&unix.BPF_F_MMAPABLE == 0 {
		t.Error("the histogram is not mmapable")
	}
	before := wakeups(t, m)
	eventually(t, "wake-ups are counted", func() bool {
		passHotPotato(t)
		return wakeups(t, m) > before
	})
}

// wakeups adds the histogram up and checks its bounds.
func wakeups(t *testing.T, m *ebpf.Map) (sum uint64) {
	t.Helper()
	var b LatencyBucket
	for i := range m.MaxEntries() {
		if err := m.Lookup(i, &b); err != nil {
			t.Fatal(err)
		}
		if want := uint64(1) << i &^ 1; b.FromNs != want {
			t.Fatalf("bucket %d starts at %d ns, want %d", i, b.FromNs, want)
		}
		sum += b.Wakeups
	}
	return sum
}

// passHotPotato makes one thread sleep until another wakes it.
func passHotPotato(t testing.TB) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	woken := make(chan error)
	go func() {
		_, err := unix.Read(fds[0], make([]byte, 1))
		woken <- err
	}()
	if _, err := unix.Write(fds[1], []byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := <-woken; err != nil {
		t.Fatal(err)
	}
}

func TestTCPChangesAreSeen(t *testing.T) {
	d := loadDemo(t, TCPStates)
	m := pinned(t, d, TCPStates)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		bpftest.Skip(t, "needs a loopback interface: %v", err)
	}
	defer ln.Close()
	key := TCPChange{From: unix.BPF_TCP_SYN_SENT, To: unix.BPF_TCP_ESTABLISHED}
	var before, after TCPChanges
	if err := m.Lookup(key, &before); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Fatal(err)
	}
	const connections = 5
	for range connections {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if err := m.Lookup(key, &after); err != nil {
		t.Fatal(err)
	}
	if after.Changes-before.Changes < connections || after.LastNs <= before.LastNs {
		t.Fatalf("%d connections: before %+v, after %+v", connections, before, after)
	}
}
