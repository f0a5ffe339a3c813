// SPDX-License-Identifier: Apache-2.0

package table

import (
	"strings"
	"testing"
)

func example() *Table {
	t := &Table{Title: "title", Columns: []Column{Text("who"), Number("ns/row"), Text("note")}}
	t.Add("iterate", "1,073", "a|b")
	t.Add("µ", "9.5")
	return t
}

func TestWrite(t *testing.T) {
	var b strings.Builder
	if err := example().Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"title\n" +
		"who      ns/row  note\n" +
		"iterate   1,073  a|b\n" +
		"µ           9.5\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestMarkdown(t *testing.T) {
	var b strings.Builder
	if err := example().Markdown(&b); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"| who | ns/row | note |\n" +
		"|---|---:|---|\n" +
		"| iterate | 1,073 | a\\|b |\n" +
		"| µ | 9.5 |  |\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.00", 1.234: "1.23", 9.994: "9.99", 9.996: "10.0", 45.67: "45.7", 99.96: "100", 1073.4: "1,073", -0.5: "-0.50", 1234567: "1,234,567",
	} {
		if got := Figure(v); got != want {
			t.Errorf("Figure(%v) = %s, want %s", v, got, want)
		}
	}
	if got := Count(-1234); got != "-1,234" {
		t.Errorf("Count(-1234) = %s", got)
	}
}
