// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// RunAndCount runs the tests of a package, for TestMain to exit with what it
// returns, and fails if they leave descriptors or goroutines of ours behind.
func RunAndCount(m *testing.M) int {
	// The poller's own descriptors come with the first file that it takes, and stay.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	before := descriptors()
	code := m.Run()
	if fuzz := flag.Lookup("test.fuzz"); code != 0 || fuzz != nil && fuzz.Value.String() != "" {
		return code // the fuzzing engine leaves goroutines of its own
	}
	if after := descriptors(); len(after) > len(before) {
		fmt.Fprintf(os.Stderr, "descriptors leaked: %d before, %d after:\n%s\n", len(before), len(after), strings.Join(after, "\n"))
		code = 1
	}
	// A goroutine that has done its work may still be on its way out.
	for end := time.Now().Add(5 * time.Second); len(goroutines()) > 0 && time.Now().Before(end); {
		runtime.Gosched()
	}
	if left := goroutines(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines leaked:\n%s\n", len(left), strings.Join(left, "\n\n"))
		code = 1
	}
	return code
}

// descriptors lists what this process has open.
func descriptors() []string {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var list []string
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			list = append(list, e.Name()+" "+to)
		}
	}
	return list
}

// goroutines lists those that run code of this module, this one excepted.
func goroutines() (list []string) {
	buf := make([]byte, 1<<20)
	all := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	for _, g := range all[1:] {
		if strings.Contains(g, "ringside") {
			list = append(list, g)
		}
	}
	return list
}
