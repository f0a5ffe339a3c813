// SPDX-License-Identifier: Apache-2.0

//go:build !urfave_cli_no_docs

package main

import (
	"strings"
	"testing"
)

// The manual page has every verb, and nothing in it is taken for a request of
// troff that is none.
func TestManual(t *testing.T) {
	page := newShell(t).run("manual").exits(exitOK, ".SH EXIT STATUS").stdout
	for _, c := range newApp(nil, nil).VisibleCommands() {
		if c.Name != "help" && !strings.Contains(page, "\n.SS "+escape(c.Name)+" ") {
			t.Errorf("%s is not in the manual", c.Name)
		}
	}
	known := []string{".TH ", ".SH ", ".SS ", ".TP", ".B ", ".PP", ".RS", ".RE", ".nf", ".fi"}
lines:
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, ".") && !strings.HasPrefix(line, "'") {
			continue
		}
		for _, k := range known {
			if strings.HasPrefix(line, k) {
				continue lines
			}
		}
		t.Errorf("troff would obey %q", line)
	}
}
