// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"strings"
	"testing"
)

func TestModel(t *testing.T) {
	for text, want := range map[string]string{
		"processor\t: 0\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel name\t: other\n": "AMD EPYC",
		"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n\n":                  "implementer 0x41 part 0xd40",
		"": unknown,
	} {
		if got := model(text); got != want {
			t.Errorf("model(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	m := Describe()
	if m.CPUs < 1 || !strings.HasPrefix(m.Go, "go") || m.Kernel == unknown {
		t.Errorf("%+v", m)
	}
}
