// SPDX-License-Identifier: Apache-2.0

// Package clients holds the clients of all languages against each other.
package clients

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

const (
	// patience is how long a test waits for what must happen. It asserts nothing
	// about time: a machine that is slow beyond it is broken.
	patience = 30 * time.Second

	source    = "flows"
	ringBytes = 64 << 10
	untouched = 200 // keys below it are never touched
	touched   = 200
)

// TestLanguages builds the sidecar and the examples once for all that they are
// held against.
func TestLanguages(t *testing.T) {
	bpftest.RequireRoot(t)
	here, ringside := build(t), sidecar(t)
	t.Run("read alike", func(t *testing.T) { readAlike(t, ringside, here) })
	t.Run("print alike", func(t *testing.T) { printAlike(t, ringside, here) })
}

// Programs in all languages that are here follow one sidecar at once, which reads
// a map that BPF programs change on all CPUs. In turn each of them is killed, and
// each is stopped until the ring has overtaken it. They see the same scans, with
// the same rows; what they got and what they are told they lost is all there was.
// When the map comes to rest, they see what the kernel says is in it.
func readAlike(t *testing.T, ringside string, here []built) {
	bpffs := bpftest.MountBPFFS(t)
	m := bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: bpftest.ChurnBytes, MaxEntries: 512})
	for key := range uint32(untouched) {
		if err := m.Put(key, bpftest.ChurnValue(key)); err != nil {
			t.Fatal(err)
		}
	}
	pin := bpftest.Pin(t, m, bpffs, source)
	all := contenders(here, "scanhash", source)
	if len(all) < 2 {
		t.Skip("one language alone has nobody to agree with")
	}
	socket := serve(t, ringside, pin)
	stop := bpftest.Churn(t, m, untouched, touched)
	for _, c := range all {
		c.start(t, socket)
	}
	advance(t, all, 3)
	for i, c := range all {
		other := all[(i+1)%len(all)]
		lag(t, c, other)
		other.kill()
		other.start(t, socket)
		advance(t, all, 3)
	}
	stop()
	rest(t, all, m)
	for _, c := range all {
		c.kill()
	}
	compare(t, all)
}

// sidecar builds the sidecar.
func sidecar(t *testing.T) (bin string) {
	t.Helper()
	bin = filepath.Join(t.TempDir(), "ringside")
	tool, err := exec.LookPath("go")
	if err != nil {
		bpftest.Skip(t, "needs the go command: %v", err)
	}
	if out, err := exec.Command(tool, "build", "-o", bin, "../cmd/ringside").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// serve starts the sidecar.
func serve(t *testing.T, bin, pin string) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	cmd := exec.Command(bin, "serve", "--socket", socket, "--map", pin+"=20ms", "--ring-bytes", fmt.Sprint(ringBytes), "--duty", "50%")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("the sidecar: %v\n%s", err, &log)
		}
	})
	await(t, "a sidecar", func() bool { return exec.Command(bin, "status", "--socket", socket).Run() == nil })
	return socket
}

func await(t *testing.T, what string, true func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for tick := time.NewTicker(10 * time.Millisecond); !true(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited for %s, %v", what, patience)
		}
	}
}

// advance waits until all have printed so many scans of those that are to come.
func advance(t *testing.T, all []*contender, scans uint64) {
	t.Helper()
	var newest uint64
	for _, c := range all {
		newest = max(newest, c.last().Scan)
	}
	for _, c := range all {
		await(t, c.name+" to go on", func() bool { return c.last().Scan >= newest+scans })
	}
}

// lag stops one of them until the ring has gone round twice, as another saw.
func lag(t *testing.T, c, other *contender) {
	t.Helper()
	c.signal(t, syscall.SIGSTOP)
	before, from := c.last(), other.last()
	await(t, other.name+" to overtake", func() bool {
		now := other.last()
		return now.Seen+now.Lost > from.Seen+from.Lost+2*ringBytes/(4+bpftest.ChurnBytes)
	})
	c.signal(t, syscall.SIGCONT)
	await(t, c.name+" to tell what it lost", func() bool { return c.last().Lost > before.Lost })
}

// rest waits until all of them have read the map as the kernel says it is.
func rest(t *testing.T, all []*contender, m *ebpf.Map) {
	t.Helper()
	var want line
	var sum uint64
	var key uint32
	var value [bpftest.ChurnBytes]byte
	for rows := m.Iterate(); rows.Next(&key, &value); want.Rows++ {
		h := fnv.New64a()
		h.Write(binary.LittleEndian.AppendUint32(nil, key))
		h.Write(value[:])
		sum += h.Sum64()
	}
	want.Hash = fmt.Sprintf("%016x", sum)
	advance(t, all, 2) // the first of them may have begun before
	for _, c := range all {
		if got := c.last(); got.Rows != want.Rows || got.Hash != want.Hash {
			t.Errorf("%s read %d rows with hash %s, the map has %d with %s", c.name, got.Rows, got.Hash, want.Rows, want.Hash)
		}
	}
}

// compare holds all lives of all of them against each other.
func compare(t *testing.T, all []*contender) {
	t.Helper()
	read := map[uint64]line{} // by number, as whoever came first has it
	for _, c := range all {
		if c.wrong != nil {
			t.Error(c.wrong)
		}
		shared := 0
		for _, l := range slices.Concat(c.lives...) {
			was, found := read[l.Scan]
			if !found {
				read[l.Scan] = l
			} else if shared++; was.Rows != l.Rows || was.Hash != l.Hash {
				t.Errorf("scan %d: %s read %d rows with hash %s, others %d with %s", l.Scan, c.name, l.Rows, l.Hash, was.Rows, was.Hash)
			}
		}
		t.Logf("%s: %d lives, %d scans that another had read; the last life saw %d rows and lost %d",
			c.name, len(c.lives), shared, c.last().Seen, c.last().Lost)
		if shared == 0 && c != all[0] {
			t.Errorf("%s read no scan that another had read", c.name)
		}
	}
	for _, c := range all {
		for _, life := range c.lives {
			for i := range max(len(life), 1) - 1 {
				account(t, c.name, life[i], life[i+1], read)
			}
		}
	}
}

// account holds what a contender saw and lost between two scans against what was
// published: the rows of the scans up to the second, as others have read them.
func account(t *testing.T, name string, before, after line, read map[uint64]line) {
	t.Helper()
	var published uint64
	for n := before.Scan + 1; n <= after.Scan; n++ {
		scan, found := read[n]
		if !found {
			return // nobody has read it whole
		}
		published += scan.Rows
	}
	if counted := after.Seen + after.Lost - before.Seen - before.Lost; counted != published {
		t.Errorf("%s counted %d rows from scan %d to %d, published were %d", name, counted, before.Scan, after.Scan, published)
	}
}
