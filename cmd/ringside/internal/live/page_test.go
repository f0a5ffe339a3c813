// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestPageCarriesFiguresAndSurvivesNonsense(t *testing.T) {
	p, f, err := newPage()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer p.close()
	consumers, err := openPage(f)
	if err != nil {
		t.Fatal(err)
	}
	defer consumers.close()
	if _, err := p.load(); !errors.Is(err, errUnsettled) {
		t.Errorf("an empty page: %v", err)
	}
	if err := consumers.store(&figures{Rows: 7, Now: map[int32]int64{unix.SYS_FUTEX: 3}}); err != nil {
		t.Fatal(err)
	}
	got, err := p.load()
	if err != nil || got.Rows != 7 || got.Now[unix.SYS_FUTEX] != 3 {
		t.Fatalf("%+v %v", got, err)
	}
	for _, b := range []byte{0x00, 0x01, 0xff} {
		for i := range consumers.mem[:16] {
			consumers.mem[i] = b
			if _, err := p.load(); err == nil {
				t.Errorf("believed a page damaged at %d", i)
			}
		}
	}
	if err := f.Truncate(0); err == nil {
		t.Error("the page could be cut off under the screen")
	}
}

func TestOnlyCallsMadeWhileReadingCount(t *testing.T) {
	f := figures{
		Before: map[int32]int64{unix.SYS_MMAP: 5, unix.SYS_FUTEX: 1},
		Now:    map[int32]int64{unix.SYS_MMAP: 5, unix.SYS_FUTEX: 4, 9999: 1},
	}
	if got := describeCalls(f.whileReading()); got != "futex 3, number 9999 1" {
		t.Errorf("got %q", got)
	}
	if got := describeCalls(nil); got != "none" {
		t.Errorf("got %q", got)
	}
}

func TestScreenShowsWhatMatters(t *testing.T) {
	var out bytes.Buffer
	s := screen{w: &out, terminal: true, lasts: 10 * time.Second}
	f := figures{UID: 65534, Capabilities: "0000000000000000", Rows: 1234567, ElapsedNS: 2e9,
		Processes: []process{{PID: 1, Name: "init", CPU: .5, Syscalls: 12}}}
	s.open()
	for i := range 100 {
		f.Rows += uint64(i)
		s.paint(&f)
	}
	s.close()
	for _, want := range []string{"uid 65534", "617,", "init (1)", "▁", "█", "none", showCursor} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing about %q", want)
		}
	}
	out.Reset()
	s = screen{w: &out}
	s.paint(&f)
	s.paint(&f)
	if strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("a file gets %q", out.String())
	}
}

func TestGraph(t *testing.T) {
	if g := graph([]uint64{0, 0, 0}, 100); g != "▁▁▁" {
		t.Errorf("flat: %q", g)
	}
	if g := graph([]uint64{0, 50, 100}, 100); g != "▁▄█" {
		t.Errorf("rising: %q", g)
	}
	if g := graph(make([]uint64, 1000), 0); len([]rune(g)) != graphWidth {
		t.Errorf("%d marks", len([]rune(g)))
	}
}
