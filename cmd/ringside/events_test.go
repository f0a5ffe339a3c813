// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// TestTailShowsEvents: a program's records, with the types that its object file
// describes, in the hands of somebody without any right.
func TestTailShowsEvents(t *testing.T) {
	s := newRootShell(t)
	m := s.pin("opens", func() (*ebpf.Map, error) { return ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 1 << 14}) })
	object, err := filepath.Abs("../../bpf/bpftest/submit_bpfel.o")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ringside.yaml")
	text := fmt.Sprintf("version: 1\nmaps: [{path: %s, mode: events, type: struct event, btf: %s}]\n", filepath.Join(s.bpffs, "opens"), object)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if maps := s.run("maps", "--bpffs", s.bpffs).exits(exitOK).stdout; !strings.Contains(maps, "ringbuf") || !strings.Contains(maps, "mode: events") {
		t.Errorf("maps says\n%s", maps)
	}
	s.start("serve", "--config", file, "--socket", s.socket, "--allow-uid", fmt.Sprint(bpftest.Nobody))
	s.await("the socket", func() bool { return s.run("status", "--brief").code == exitOK })
	sub := bpftest.Submission{Submitter: 5, Count: 3, Least: 32}
	if err := bpftest.NewSubmitter(t, m).Submit(&sub); err != nil || sub.Seq != 3 {
		t.Fatalf("%+v, %v", sub, err)
	}
	out := s.as(bpftest.Nobody).run("tail", "-o", "jsonl", "-n", "3").exits(exitOK).stdout
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, line := range lines {
		head := `{"ring":"main","map":"opens","kind":"event","seq":0,"scan":null,"time_ns":`
		tail := `,"submitter":5,"length":32}}`
		if !strings.HasPrefix(line, head) || !strings.HasSuffix(line, tail) ||
			!strings.Contains(line, fmt.Sprintf(`,"key":null,"value":{"seq":%d,"time_ns":`, i)) {
			t.Errorf("%s", line)
		}
	}
	if len(lines) != 3 {
		t.Errorf("%d lines:\n%s", len(lines), out)
	}
	table := s.run("tail", "-n", "3", "--from", "oldest").exits(exitOK).stdout
	if !strings.Contains(table, "value.seq") || strings.Contains(table, "key") {
		t.Errorf("the table is\n%s", table)
	}
	if first := strings.Split(table, "\n")[2]; !strings.Contains(first, "     -  ") {
		t.Errorf("an event with a scan: %q", first)
	}
	s.run("top", "opens").exits(exitConfig, "events", "tail --ring main --map opens")
	if status := s.run("status").exits(exitOK).stdout; !strings.Contains(status, "ringbuf  events  ringbuf") {
		t.Errorf("status is\n%s", status)
	}
}
