// SPDX-License-Identifier: Apache-2.0

package status

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCodesAreDocumented holds docs/operations.md to the code: whoever gets a
// reason looks there.
func TestCodesAreDocumented(t *testing.T) {
	source, err := os.ReadFile("health.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`Code\s+= "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	if len(codes) < 10 {
		t.Fatalf("found only %d codes in health.go", len(codes))
	}
	for _, c := range codes {
		if !strings.Contains(string(doc), "\n| `"+c[1]+"` |") {
			t.Errorf("docs/operations.md, Reasons: %s is missing", c[1])
		}
	}
	if listed := strings.Count(section(string(doc), "## Reasons"), "\n| `"); listed != len(codes) {
		t.Errorf("docs/operations.md lists %d codes, there are %d", listed, len(codes))
	}
}

// section is the text of a chapter.
func section(doc, title string) string {
	_, rest, _ := strings.Cut(doc, title+"\n")
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}
