// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestDocumentedFile holds the file in docs/operations.md to what is accepted,
// and to its claim that it shows the defaults.
func TestDocumentedFile(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```yaml\n")
	text, _, _ := strings.Cut(rest, "```")
	c, err := Parse("docs/operations.md", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	short, err := Parse("short", []byte("version: 1\nmaps: [{path: /sys/fs/bpf/flows, name: flows}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	c.Maps[0].Origin, short.Maps[0].Origin = "", ""
	short.Socket.Path = DefaultSocket // if neither a flag nor the environment names one
	if c.Maps[0] != short.Maps[0] || !reflect.DeepEqual(c.Reader, short.Reader) || c.Socket != short.Socket || c.Rings[0].Bytes != short.Rings[0].Bytes {
		t.Fatalf("documented %+v\ndefaults   %+v", c, short)
	}
}
