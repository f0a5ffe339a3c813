// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// Some tests need another process: one to kill, one in another pid namespace. It is this test binary,
// told by the environment what to be.
const roleEnv = "RINGSIDE_DEMO_TEST_ROLE"

func TestMain(m *testing.M) {
	roles := map[string]func() error{
		"":        func() error { os.Exit(m.Run()); return nil },
		"settled": playSettled,
		"counted": playCounted,
	}
	if err := roles[os.Getenv(roleEnv)](); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// startRole starts this binary in a role and returns it with the first line it says. It ends when the
// test does, at the latest.
func startRole(t *testing.T, role, argument string, attr *syscall.SysProcAttr) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", argument)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = attr
	if _, err := cmd.StdinPipe(); err != nil { // its end tells the role that its parent is gone
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	said := bufio.NewScanner(out)
	if !said.Scan() {
		t.Fatalf("%s ended without a word: %v", role, cmd.Wait())
	}
	return cmd, said.Text()
}

// untilParentEnds blocks for as long as the parent holds our standard input.
func untilParentEnds() {
	_, _ = os.Stdin.Read(make([]byte, 1))
}
