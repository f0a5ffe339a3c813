// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"os"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// roles are the other processes of these tests.
var roles = map[string]func(args []string) error{}

func TestMain(m *testing.M) {
	bpftest.PlayRole(roles)
	os.Exit(bpftest.RunAndCount(m))
}
