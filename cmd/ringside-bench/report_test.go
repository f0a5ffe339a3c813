// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

func TestReport(t *testing.T) {
	bpftest.RequireRoot(t)
	dir := filepath.Join(t.TempDir(), "docs")
	var plan []planned
	for _, e := range experiments() {
		if slices.Contains([]string{"disturb", "ring", "footprint"}, e.name) {
			plan = append(plan, planned{e, tiny})
		}
	}
	if err := report(t.Context(), plan, dir, t.Output()); err != nil {
		t.Fatal(err)
	}
	text := read(t, filepath.Join(dir, reportName))
	for _, want := range []string{
		"# Benchmarks\n", "Do not edit", "## disturb: ", "## ring: ", "ringside-bench disturb --entries 512 --for 1ms",
		"| hash | iterate | ", "![disturb", "(benchmarks-disturb.svg)", "| figure | expected | measured |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the report", want)
		}
	}
	for _, bad := range []string{"%!", "<no value>", "{{", "\n\n\n"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q in the report:\n%s", bad, text)
		}
	}
	if !strings.HasPrefix(read(t, filepath.Join(dir, "benchmarks-disturb.svg")), "<svg ") {
		t.Error("the chart is no picture")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhatFellShortIsNamed(t *testing.T) {
	short := atMost("walking", exactly(3), 2, nsRow)
	w := written{Chapters: []chapter{{result: &result{Figures: []figure{short, atLeast("running", exactly(9), 7, times)}}}}}
	text, err := w.render()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "- walking: 3.00 ns/row, expected ≤ 2 ns/row\n") || strings.Contains(string(text), "Everything that") {
		t.Errorf("got\n%s", text)
	}
}
