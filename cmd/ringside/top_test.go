// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// counter is struct { __u64 bytes; __s32 drift; __u32 hist[2]; }.
type counter struct {
	Bytes uint64
	Drift int32
	Hist  [2]uint32
	_     uint32
}

func counterMap() (*ebpf.Map, error) {
	value := &btf.Struct{Name: "counter", Size: 24, Members: []btf.Member{
		member("bytes", typeU64, 0), member("drift", typeS32, 8), member("hist", arrayOf(typeU32, 2), 12),
	}}
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "counters", Type: ebpf.Hash, KeySize: 4, ValueSize: 24, MaxEntries: 64, Key: typeU32, Value: value,
	})
	for i := range uint32(10) {
		if err == nil {
			err = m.Put(i, &counter{Bytes: 1 << (2 * i), Drift: 5 - int32(i), Hist: [2]uint32{i, 100 - i}})
		}
	}
	return m, err
}

// topDocument is what scripts read of it.
type topDocument struct {
	SchemaVersion int `json:"schema_version"`
	Map, By       string
	Fresh         bool
	Entries       int
	Seconds       float64
	Rows          []struct {
		Key   uint32
		Value struct{ Bytes uint64 }
		Rates map[string]float64
	}
}

func (s *shell) top(args ...string) (doc topDocument) {
	s.t.Helper()
	out := s.run(append([]string{"top", "counters", "-o", "json"}, args...)...).exits(exitOK)
	if err := json.Unmarshal([]byte(out.stdout), &doc); err != nil || doc.SchemaVersion != 1 || doc.Map != "counters" || !doc.Fresh {
		s.t.Fatalf("%v: %s", err, out.stdout)
	}
	return doc
}

func TestTopRanks(t *testing.T) {
	s := newRootShell(t)
	s.pin("counters", counterMap)
	s.pin("percpu", perCPUMap)
	s.pin("plain", plainMap)
	s.serve("--allow-uid", fmt.Sprint(bpftest.Nobody))
	nobody := s.as(bpftest.Nobody)
	for by, want := range map[string][]uint32{
		"": {9, 8, 7}, "bytes": {9, 8, 7}, "value.bytes": {9, 8, 7}, "drift": {0, 1, 2}, "hist[1]": {0, 1, 2}, "key": {9, 8, 7},
	} {
		args := []string{"--rows", "3"}
		if by != "" {
			args = append(args, "--by", by)
		}
		doc := nobody.top(args...)
		var got []uint32
		for _, r := range doc.Rows {
			got = append(got, r.Key)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || doc.Entries != 10 {
			t.Errorf("by %q: %v of %d, want %v", by, got, doc.Entries, want)
		}
	}
	out := nobody.run("top", "counters", "--rows", "2").exits(exitOK, "counters: 10 rows, by value.bytes, scan ", "value.hist", "262144")
	if n := strings.Count(out.stdout, "\n"); n != 4 || strings.Contains(out.stdout, "\x1b") {
		t.Errorf("want two lines above two rows, got %s", out.stdout)
	}
	sum := 0
	for i := range ebpf.MustPossibleCPU() {
		sum += i + 1
	}
	nobody.run("top", "percpu").exits(exitOK, "percpu: 1 rows, by value,", fmt.Sprintf("  7      %d\n", sum))
	nobody.run("top", "counters", "--by", "nope").exits(exitUsage, `no number called "nope"`, "value.bytes, value.drift, value.hist[0] to [1]")
	nobody.run("top", "counters", "--rows", "1", "--by", "hist[1]").exits(exitOK, "by value.hist[1], scan ", "value.hist[1]\n  0            1            5  [0,100]               100\n")
	nobody.run("top", "plain").exits(exitOK, "plain: ", " rows, in the order of their keys, scan ")
	nobody.run("top", "nope").exits(exitConfig, `no source "nope"`)
}

func TestTopRates(t *testing.T) {
	s := newRootShell(t)
	m := s.pin("counters", counterMap)
	s.serve()
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		c := counter{Bytes: 1 << 6, Drift: 2} // as it is
		for tick := time.NewTicker(time.Millisecond); ; c.Bytes, c.Drift = c.Bytes+1000, c.Drift-1 {
			select {
			case <-tick.C:
				if err := m.Put(uint32(3), &c); err != nil {
					done <- err
					return
				}
			case <-stop:
				done <- nil
				return
			}
		}
	}()
	doc := s.top("--rate", "--rows", "1")
	if len(doc.Rows) != 1 || doc.Rows[0].Key != 3 || doc.Seconds <= 0 || doc.By != "value.bytes" {
		t.Fatalf("%+v", doc)
	}
	bytes, drift := doc.Rows[0].Rates["value.bytes"], doc.Rows[0].Rates["value.drift"]
	if drift >= 0 || bytes <= 0 || bytes/-drift < 999 || bytes/-drift > 1001 {
		t.Errorf("rates %v: a thousand up for every one down", doc.Rows[0].Rates)
	}
	s.run("top", "counters", "--rate", "--rows", "1").exits(exitOK, "value.bytes/s", "key", "by value.bytes/s")
	s.run("top", "counters", "--rate", "--rows", "1", "--by", "hist[0]").exits(exitOK, "by value.hist[0]/s", "  value.hist[0]/s\n")
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A map of a pattern that is unpinned is let go: no scan will follow the one that
// was shown.
func TestTopOfAMapThatGoes(t *testing.T) {
	t.Parallel() // it waits for the most part
	s := newRootShell(t)
	s.pin("counters", counterMap)
	s.start("serve", "--socket", s.socket, "--map", s.bpffs+"/*=1h")
	s.await("a scan", func() bool { return s.run("status", "--brief").code != exitUnavailable })
	p := s.start("top", "counters", "--rate", "-o", "json")
	s.attached("ringside top")
	if err := os.Remove(s.bpffs + "/counters"); err != nil {
		t.Fatal(err)
	}
	p.wait().exits(exitUnavailable, "reads this map no more")
}

func TestTopUsage(t *testing.T) {
	s := newShell(t)
	for args, says := range map[string]string{"": "name one map", "a b": "name one map", "a --rows 0": "--rows 0", "a -o xml": "xml"} {
		s.run(append([]string{"top"}, strings.Fields(args)...)...).exits(exitUsage, says)
	}
	s.run("top", "flows").exits(exitUnavailable, "no sidecar")
}
