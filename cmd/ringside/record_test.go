// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/record"
	"github.com/ringside-bpf/ringside/shm"
)

// content is what an image holds, read to its end.
func content(t *testing.T, file string) (frames, rows uint64, sources []string) {
	t.Helper()
	ring, err := shm.OpenImage(file)
	if err != nil {
		t.Fatal(err)
	}
	start := ring.Begin(shm.StartOldest, shm.AnySource)
	cursor := shm.NewCursor(ring, start, shm.StartOldest, shm.AnySource)
	buf := make([]byte, ring.Geometry().LargestFrame)
	for {
		_, _, _, status := cursor.Next(buf)
		if status == shm.Ready {
			continue
		}
		if status != shm.Ended || cursor.Loss().Frames != 0 {
			t.Errorf("%s ends with %v, %v, lost %+v", file, status, cursor.Err(), cursor.Loss())
		}
		break
	}
	for n := range ring.Sources() {
		info, err := ring.Source(n)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, info.Name)
	}
	return cursor.Position().Seq - start.Seq, cursor.Position().Rows - start.Rows, sources
}

func TestRecordIsReadWhole(t *testing.T) {
	s := newRootShell(t)
	for name, create := range map[string]func() (*ebpf.Map, error){"typed": typedMap, "percpu": perCPUMap} {
		s.pin(name, create)
	}
	s.serve("--allow-uid", fmt.Sprint(bpftest.Nobody))
	nobody := s.as(bpftest.Nobody)
	dir := filepath.Join(filepath.Dir(s.socket), "recordings") // t.TempDir lets in nobody else
	if err := errors.Join(os.Mkdir(dir, 0o777), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "image.ring")
	out := nobody.run("record", file, "--for", "300ms").exits(exitOK, file+": ", "; lost 0 frames with 0 rows\n")
	frames, rows, sources := content(t, file)
	if says := fmt.Sprintf("%d frames with %d rows", frames, rows); frames == 0 || !strings.Contains(out.stdout, says) {
		t.Errorf("the file holds %s; said was %s", says, out.stdout)
	}
	if len(sources) != 2 {
		t.Errorf("sources %v", sources)
	}
	nobody.run("record", file).exits(exitConfig, "file exists", "name another")
	nobody.run("record", "/sys/a.ring").exits(exitPermission, "permission denied", "may write to")
	printed := nobody.run("tail", "--file", file, "-o", "jsonl").exits(exitOK).stdout
	if n := strings.Count(printed, `{"ring":"main","map":"`); uint64(n) != rows || strings.Count(printed, "\n") != n || !strings.Contains(printed, `"comm":"curl"`) {
		t.Errorf("tail prints %d of %d rows: %.300s", n, rows, printed)
	}
	nobody.run("tail", "--file", file, "--map", "percpu", "-n", "3").exits(exitOK, "==> percpu <==")
	nobody.run("tail", "--file", file, "--map", "nope").exits(exitConfig, "no such source", "it has percpu, typed")
	nobody.run("tail", "--file", file, "--from", "head").exits(exitUsage, "does not go with --file")
	all := nobody.run("tail", "--file", file, "--map", "typed", "-o", "jsonl").exits(exitOK).stdout
	newest := nobody.run("tail", "--file", file, "--map", "typed", "-o", "jsonl", "--from", "keyframe").exits(exitOK).stdout
	if scan := regexp.MustCompile(`"scan":\d+`).FindString(newest); !strings.HasSuffix(all, newest) || strings.Count(all, scan+",") != strings.Count(newest, "\n") {
		t.Errorf("from the newest keyframe on: %s", newest)
	}
	nobody.run("tail", "--file", s.bin).exits(exitConfig, s.bin)
	nobody.run("record", filepath.Join(dir, "b.ring"), "--bytes", "64KiB").exits(exitUsage, "too small for this ring", "keep at least 1048576")
}

// TestRecordEndsAndGoesOn: Ctrl-C ends it cleanly; a sidecar that is started anew
// is followed, and one that stays away leaves a whole file.
func TestRecordEndsAndGoesOn(t *testing.T) {
	t.Parallel() // it waits for the most part
	s := newRootShell(t)
	s.pin("typed", typedMap)
	first := s.serve()
	interrupted, followed := filepath.Join(t.TempDir(), "a.ring"), filepath.Join(t.TempDir(), "b.ring")
	p := s.start("record", interrupted)
	s.attached("ringside record")
	s.await("a file", func() bool { _, err := os.Stat(interrupted); return err == nil })
	p.signal(syscall.SIGINT)
	p.wait().exits(exitOK, "lost 0 frames")
	content(t, interrupted)

	p = s.start("record", followed, "-o", "json")
	s.attached("ringside record")
	first.signal(syscall.SIGTERM)
	first.wait().exits(exitOK)
	second := s.serve()
	s.attached("ringside record")
	second.signal(syscall.SIGKILL)
	second.wait()
	var says struct {
		SchemaVersion int `json:"schema_version"`
		File          string
		record.Summary
	}
	p.wait().exits(exitUnavailable, "did not come back").decode(&says)
	if says.SchemaVersion != 1 || says.File != followed || says.Restarts != 1 || says.Frames == 0 || says.Rows == 0 {
		t.Errorf("%+v", says)
	}
	if frames, _, sources := content(t, followed); frames == 0 || len(sources) != 2 || sources[0] != "typed" || sources[1] != "typed" {
		t.Errorf("%d frames of %v", frames, sources)
	}
}

func TestRecordUsage(t *testing.T) {
	s := newShell(t)
	for args, says := range map[string]string{
		"": "name one file", "a b": "name one file", "a --for 0s": "--for 0s", "a --bytes many": `"many" is no size`,
	} {
		s.run(append([]string{"record"}, strings.Fields(args)...)...).exits(exitUsage, says)
	}
	s.run("record", "/nowhere/a.ring").exits(exitUnavailable, "no sidecar")
}

// TestRecordKeepsTheNewest: a file that is full goes on like a ring, and says so.
func TestRecordKeepsTheNewest(t *testing.T) {
	s := newRootShell(t)
	s.pin("typed", typedMap)
	s.serve("--ring-bytes", "16KiB")
	file := filepath.Join(t.TempDir(), "image.ring")
	p := s.start("record", file, "--bytes", "16KiB")
	s.attached("ringside record")
	s.run("tail", "--from", "head", "-n", "240").exits(exitOK) // 120 frames of 192 bytes
	p.signal(syscall.SIGINT)
	p.wait().exits(exitOK, "made room, more --bytes keep more")
	frames, _, _ := content(t, file)
	if st, err := os.Stat(file); err != nil || frames == 0 || frames > 100 || st.Size() > 1<<20 {
		t.Errorf("%d frames in %v bytes, %v", frames, st.Size(), err)
	}
}

// TestRecordTellsWhatItMissed: one that was overtaken says so, and the gap is in
// the numbers of the source's frames.
func TestRecordTellsWhatItMissed(t *testing.T) {
	s := newRootShell(t)
	s.pin("typed", typedMap)
	s.serve("--ring-bytes", "16KiB")
	file := filepath.Join(t.TempDir(), "image.ring")
	p := s.start("record", file)
	s.attached("ringside record")
	// What is missing before the first frame is no gap between frames.
	s.await("a frame", func() bool { ring, err := shm.OpenImage(file); return err == nil && ring.Totals().Frames > 0 })
	p.signal(syscall.SIGSTOP)
	s.run("tail", "--from", "head", "-n", "240").exits(exitOK) // more than the ring holds
	p.signal(syscall.SIGCONT)
	s.run("tail", "--from", "head", "-n", "4").exits(exitOK)
	p.signal(syscall.SIGINT)
	out := p.wait().exits(exitOK).stdout
	var frames, rows, lost uint64
	if _, err := fmt.Sscanf(strings.TrimPrefix(out, file+": "), "%d frames with %d rows; lost %d frames", &frames, &rows, &lost); err != nil || lost == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	if kept, _, _ := content(t, file); kept != frames || gaps(t, file) != lost {
		t.Errorf("the file holds %d frames with %d missing between them; said was %s", kept, gaps(t, file), out)
	}
}

// gaps counts the frames of the only source that are not in an image.
func gaps(t *testing.T, file string) (missing uint64) {
	t.Helper()
	ring, err := shm.OpenImage(file)
	if err != nil {
		t.Fatal(err)
	}
	cursor := shm.NewCursor(ring, shm.Position{}, shm.StartOldest, shm.AnySource)
	for next := uint32(0); ; {
		h, _, _, status := cursor.Peek()
		if status != shm.Ready {
			return missing
		}
		missing += uint64(h.SourceSeq - next)
		next = h.SourceSeq + 1
		cursor.Advance()
	}
}
