// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// record makes a file of n frames and says what was published.
func record(t *testing.T, c Config, n int) (path string, total Totals) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "image.ring")
	f, err := CreateFile(path, c)
	if err != nil {
		t.Fatal(err)
	}
	r := addSource(t, f.Publisher, "s")
	for i := range n {
		publishRows(t, r, uint64(i), 1+i%9, FlagFirst|FlagLast|FlagKeyframe)
	}
	if err := f.Check(); err != nil {
		t.Error(err)
	}
	total = f.Totals()
	if err := f.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	return path, total
}

func TestRecordingIsReadWhole(t *testing.T) {
	for _, n := range []int{0, 1, 20, 900} {
		path, total := record(t, Config{Name: "rec", DataBytes: 1 << 20}, n)
		ring, err := OpenImage(path)
		if err != nil {
			t.Fatal(err)
		}
		if hw := ring.shared.hw.Load(); ring.State() != StateEnded || hw != ring.Head() || ring.Geometry().Name != "rec" {
			t.Errorf("%d frames: %v, hw %d, head %d", n, ring.State(), hw, ring.Head())
		}
		c := NewCursor(ring, ring.Begin(StartOldest, AnySource), StartOldest, AnySource)
		got, s := readAll(t, c, make([]byte, ring.Geometry().LargestFrame))
		if s != Ended || got.lostFrames != 0 {
			t.Errorf("%d frames: %v, lost %+v", n, s, got)
		}
		got.mustEqual(t, total)
		if c = NewCursor(ring, ring.Begin(StartKeyframe, 0), StartKeyframe, 0); n > 0 {
			if last, _ := readAll(t, c, make([]byte, ring.Geometry().LargestFrame)); last.frames != 1 {
				t.Errorf("from the keyframe: %+v", last)
			}
		}
	}
}

// The file holds what was recorded, and not the ring that it was recorded into.
func TestRecordingIsNoLargerThanItsContent(t *testing.T) {
	path, total := record(t, Config{DataBytes: 64 << 20, Sources: 8, HeapBytes: 1}, 100)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if most := 4*int64(total.Head) + 5*pageSize; st.Size() > most || st.Mode().Perm() != 0o600 {
		t.Errorf("%d bytes for %d, at most %d; mode %v", st.Size(), total.Head, most, st.Mode())
	}
	if _, err := CreateFile(path, Config{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a recording: %v", err)
	}
}

// Once it has wrapped, a recording is the newest part of what was recorded; a
// claim that was given back at the end leaves no frame that is not whole.
func TestRecordingThatWrapped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image.ring")
	f, err := CreateFile(path, Config{DataBytes: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	r := addSource(t, f.Publisher, "s")
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		publishRows(t, r, 0, 1+rnd.IntN(90), FlagFirst|FlagLast)
	}
	b, err := r.Claim(t.Context(), r.Largest(), r.Largest())
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = 0xff
	}
	r.Abort()
	total := f.Totals()
	if err := f.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	ring, err := OpenImage(path)
	if err != nil {
		t.Fatal(err)
	}
	pos := ring.Begin(StartOldest, AnySource)
	got, s := readAll(t, NewCursor(ring, pos, StartOldest, AnySource), make([]byte, ring.Geometry().LargestFrame))
	if s != Ended || got.frames == 0 || got.lostFrames != 0 || pos.Seq+got.frames != total.Frames || pos.Rows+got.rows != total.Rows {
		t.Errorf("%v: from %+v read %+v of %+v", s, pos, got, total)
	}
	fromZero, _ := readAll(t, NewCursor(ring, Position{}, StartOldest, AnySource), make([]byte, ring.Geometry().LargestFrame))
	fromZero.mustEqual(t, total)
}

// A recording that lost frames must not make a whole scan of two halves.
func TestSkippedFramesBreakAScan(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	publishRows(t, r, 0, 1, FlagFirst|FlagKeyframe)
	r.Skip(2)
	publishRows(t, r, 0, 1, FlagLast|FlagKeyframe)
	if k := p.Ring().keyframe(0); k != NoKeyframe {
		t.Errorf("a keyframe at %d", k)
	}
}

// full is a disk that has no more room.
func TestRecordingToAFullDiskIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("ringside-test", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	f, err := CreateFile(filepath.Join(dir, "image.ring"), Config{DataBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	r := addSource(t, f.Publisher, "s")
	for err == nil {
		if _, err = r.Claim(t.Context(), r.Largest(), r.Largest()); err == nil {
			r.Commit(Content{Kind: KindRows, Bytes: r.Largest()})
		}
	}
	total := f.Totals()
	// Others take what is left.
	if err := os.WriteFile(filepath.Join(dir, "other"), make([]byte, 2<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if end := f.End(t.Context()); end != nil || !errors.Is(err, unix.ENOSPC) || total.Frames == 0 {
		t.Errorf("%v after %d frames; at the end: %v", err, total.Frames, end)
	}
	ring, err := OpenImage(filepath.Join(dir, "image.ring"))
	if err != nil {
		t.Fatal(err)
	}
	if got := ring.Totals(); got.Frames != total.Frames {
		t.Errorf("%+v, recorded were %+v", got, total)
	}
}

func TestImagesThatAreRefused(t *testing.T) {
	image := []byte(ringImage(t))
	truncated := bytes.Clone(image)[:len(image)-4096]
	for name, tc := range map[string]struct {
		from io.ReaderAt
		size int
		want error
	}{
		"empty":                   {bytes.NewReader(nil), 0, ErrNotARing},
		"text":                    {bytes.NewReader(make([]byte, 9000)), 9000, ErrNotARing},
		"cut":                     {bytes.NewReader(truncated), len(truncated), ErrGeometry},
		"cut while it is read":    {bytes.NewReader(truncated), len(image), ErrNotARing},
		"cut within the header":   {bytes.NewReader(image[:100]), len(image), ErrNotARing},
		"nothing wrong with it":   {bytes.NewReader(image), len(image), nil},
		"bytes behind what it is": {bytes.NewReader(append(bytes.Clone(image), 0)), len(image) + 1, ErrGeometry},
	} {
		if _, err := ReadImage(tc.from, int64(tc.size)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	pipe := filepath.Join(t.TempDir(), "pipe") // into which nobody writes
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenImage(pipe); !errors.Is(err, ErrNotARing) {
		t.Errorf("%v", err)
	}
	if _, err := OpenImage(t.TempDir()); !errors.Is(err, ErrNotARing) {
		t.Errorf("a directory: %v", err)
	}
}

// Copying a file that is being recorded gives no frame that is not whole.
func TestImageOfWhatIsBeingRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image.ring")
	f, err := CreateFile(path, Config{DataBytes: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	r := addSource(t, f.Publisher, "s")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := uint64(0); ctx.Err() == nil; i++ {
			publishRows(t, r, i, 1+int(i%90), FlagFirst|FlagLast)
		}
	}()
	for range 200 {
		ring, err := OpenImage(path)
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, NewCursor(ring, ring.Begin(StartOldest, AnySource), StartOldest, AnySource), make([]byte, ring.Geometry().LargestFrame))
	}
	stop()
	<-done
	if err := f.End(t.Context()); err != nil {
		t.Error(err)
	}
}
