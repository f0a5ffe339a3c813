// SPDX-License-Identifier: Apache-2.0

package protodoc

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Place is what a table says of a name: an offset and a size, or one number.
type Place struct{ First, Second string }

// At is the place of a field.
func At(offset, size int) Place { return Place{fmt.Sprint(offset), fmt.Sprint(size)} }

// Number is what a constant is listed as.
func Number(n any) Place { return Place{First: fmt.Sprint(n)} }

// Layout is a table of | offset | size | type | name | ... |.
func Layout(tb testing.TB, doc, table string) map[string]Place {
	tb.Helper()
	return read(tb, doc, table, 4, func(cells []string) (string, Place) { return cells[3], Place{cells[0], cells[1]} })
}

// Numbers is a table of | number | name | ... |.
func Numbers(tb testing.TB, doc, table string) map[string]Place {
	tb.Helper()
	return read(tb, doc, table, 2, func(cells []string) (string, Place) { return cells[1], Place{First: cells[0]} })
}

// Hold fails the test where the document and the code differ.
func Hold(tb testing.TB, table string, doc, code map[string]Place) {
	tb.Helper()
	for name, w := range code {
		if g, ok := doc[name]; !ok || g != w {
			tb.Errorf("table %q: the document has %s at %v, the code at %v", table, name, g, w)
		}
	}
	for name := range doc {
		if _, ok := code[name]; !ok {
			tb.Errorf("table %q: the code has no %s", table, name)
		}
	}
}

// read finds the table that follows the line `<!-- table: name -->`.
func read(tb testing.TB, doc, table string, columns int, row func([]string) (string, Place)) map[string]Place {
	tb.Helper()
	b, err := os.ReadFile(doc)
	if err != nil {
		tb.Fatal(err)
	}
	_, text, found := strings.Cut(string(b), "\n<!-- table: "+table+" -->\n\n")
	text, _, ended := strings.Cut(text, "\n\n")
	lines := strings.Split(text, "\n")
	if !found || !ended || len(lines) < 3 {
		tb.Fatalf("%s has no table %q", doc, table)
	}
	places := map[string]Place{}
	for _, line := range lines[2:] { // after the titles and the rule
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) < columns {
			tb.Fatalf("%s, table %q: too few columns in %q", doc, table, line)
		}
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		name, place := row(cells)
		if _, twice := places[name]; twice {
			tb.Fatalf("%s, table %q: %s is there twice", doc, table, name)
		}
		places[name] = place
	}
	return places
}
