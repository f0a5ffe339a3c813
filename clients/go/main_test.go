// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"os"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

func TestMain(m *testing.M) {
	bpftest.PlayRole(map[string]func(args []string) error{"sidecar": playSidecar, "reader": playReader})
	os.Exit(bpftest.RunAndCount(m))
}
