// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// roleEnv makes the test binary play another process of a test.
const roleEnv = "RINGSIDE_HANDOFF_ROLE"

var roles = map[string]func(args []string) error{}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := roles[role](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// The poller's own descriptors come with the first socket and stay.
	if l, err := net.Listen("unix", ""); err == nil {
		l.Close()
	}
	before := descriptors()
	code := m.Run()
	if after := descriptors(); code == 0 && len(after) > len(before) {
		fmt.Fprintf(os.Stderr, "descriptors leaked: %d before, %d after:\n%s\n", len(before), len(after), strings.Join(after, "\n"))
		code = 1
	}
	// A goroutine that has done its work may still be on its way out.
	for end := time.Now().Add(5 * time.Second); len(goroutines()) > 0 && time.Now().Before(end); {
		runtime.Gosched()
	}
	if left := goroutines(); code == 0 && len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines leaked:\n%s\n", len(left), strings.Join(left, "\n\n"))
		code = 1
	}
	os.Exit(code)
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

// goroutines lists those that run code of this package, this one excepted.
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
