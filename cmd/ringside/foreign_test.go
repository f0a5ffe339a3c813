// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/inventory"
)

// TestForeignMap serves a map of a tool that knows nothing of ringside, and
// reads it typed: run queue latencies by process, from Debian's libbpf-tools.
// docs/operations.md shows the same by hand.
func TestForeignMap(t *testing.T) {
	s := newRootShell(t)
	tool := startForeign(t, s, "runqlat", "-P", "600")

	hists := s.unpinnedMapOf(tool, "hists")
	pin := strings.Fields(hists.PinCommand)
	if out, err := exec.Command(pin[0], pin[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", hists.PinCommand, err, out)
	}
	s.serve("--allow-uid", fmt.Sprint(bpftest.Nobody))
	out := s.as(bpftest.Nobody).run("tail", "--map", "hists", "-o", "jsonl", "-n", "3").exits(exitOK)
	for line := range strings.Lines(out.stdout) {
		// struct hist { __u32 slots[MAX_SLOTS]; char comm[TASK_COMM_LEN]; }
		var row struct {
			Map   string `json:"map"`
			Key   uint32 `json:"key"`
			Value struct {
				Slots []uint32 `json:"slots"`
				Comm  *string  `json:"comm"`
			} `json:"value"`
		}
		err := json.Unmarshal([]byte(line), &row)
		if err != nil || row.Map != "hists" || len(row.Value.Slots) != 26 || row.Value.Comm == nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	s.run("tail", "-n", "3").exits(exitOK, "value.slots", "value.comm")
}

// startForeign runs a tool until the test ends.
func startForeign(t *testing.T, s *shell, args ...string) *exec.Cmd {
	t.Helper()
	for _, need := range []string{args[0], "bpftool"} {
		if _, err := exec.LookPath(need); err != nil {
			bpftest.Skip(t, "needs Debian's libbpf-tools and bpftool: %v", err)
		}
	}
	tool := exec.Command(args[0], args[1:]...)
	var says bytes.Buffer
	tool.Stdout, tool.Stderr = &says, &says
	if err := tool.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = tool.Wait() }()
	t.Cleanup(func() { tool.Process.Kill(); <-ended })
	s.await(args[0]+" to load its programs", func() bool {
		select {
		case <-ended:
			bpftest.Skip(t, "%s does not run on this kernel: %s", args[0], says.String())
		default:
		}
		return len(mapsHeldBy(t, tool)) > 0
	})
	return tool
}

// mapsHeldBy are the ids of the maps a process holds open.
func mapsHeldBy(t *testing.T, tool *exec.Cmd) []string {
	t.Helper()
	descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", tool.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, d := range descriptors {
		text, _ := os.ReadFile(d) // it may be closed by now
		if _, rest, ok := strings.Cut(string(text), "map_id:"); ok {
			ids = append(ids, strings.Fields(rest)[0])
		}
	}
	return ids
}

// unpinnedMapOf finds a map of the tool as a user would: in `ringside maps --unpinned`.
func (s *shell) unpinnedMapOf(tool *exec.Cmd, name string) (found inventory.Free) {
	s.t.Helper()
	s.await("map "+name, func() bool {
		held := mapsHeldBy(s.t, tool)
		doc := document[inventory.Unpinned](s.t, s.run("maps", "--unpinned", "-o", "json", "--bpffs", s.bpffs))
		i := slices.IndexFunc(doc.Maps, func(m inventory.Free) bool {
			return m.MapName == name && len(m.Programs) > 0 && slices.Contains(held, fmt.Sprint(m.MapID))
		})
		if i >= 0 {
			found = doc.Maps[i]
		}
		return i >= 0
	})
	return found
}
