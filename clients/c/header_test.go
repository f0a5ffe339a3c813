// SPDX-License-Identifier: Apache-2.0

package c

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// need is the path of a tool. Where it is missing the test says so and is left
// out, unless nothing may be.
func need(t testing.TB, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err == nil {
		return path
	}
	if os.Getenv("RINGSIDE_NO_SKIP") == "1" {
		t.Fatalf("leaving out %s: %v", t.Name(), err)
	}
	t.Skipf("leaving out %s: %v", t.Name(), err)
	return ""
}

// The header alone compiles without a warning, as C and as C++, the oldest of
// each that it promises.
func TestHeader(t *testing.T) {
	for _, c := range []string{"gcc -std=c11 -x c", "clang -std=c11 -x c", "g++ -std=c++11 -x c++", "clang++ -std=c++11 -x c++"} {
		t.Run(c, func(t *testing.T) {
			args := strings.Fields(c + " -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I. -")
			cmd := exec.Command(need(t, args[0]), args[1:]...)
			cmd.Stdin = strings.NewReader("#include <ringside.h>\n")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
