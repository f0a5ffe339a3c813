// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestBars(t *testing.T) {
	var b strings.Builder
	groups := []Group{
		{"hash <4 B + 32 B>", []Bar{{"iterate", 1000, "1,000", false}, {"ringside-batch", 100, "100", true}, {"nothing", 0, "0", false}}},
		{"empty", []Bar{{"a", 0, "0", false}}},
	}
	if err := Bars(&b, "ns a row & more", "shorter is better", groups); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	rects, d := 0, xml.NewDecoder(strings.NewReader(got))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, got)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "rect" {
			rects++
		}
	}
	if rects != 4+1 {
		t.Errorf("%d rectangles, want 4 bars and the page", rects)
	}
	for _, want := range []string{"prefers-color-scheme: dark", `class="ours"`, "&lt;4 B + 32 B&gt;", "1,000", `width="470.0"`, `width="47.0"`, `width="1.0"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
