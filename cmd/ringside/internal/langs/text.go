// SPDX-License-Identifier: Apache-2.0

package langs

import (
	"fmt"
	"strings"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// file collects definitions, each behind those that it needs.
type file struct {
	rows  *Rows
	body  text
	scope names             // of types
	made  map[string]string // by C's layout and variant: the name
}

func newFile(r *Rows) file { return file{rows: r, scope: names{}, made: map[string]string{}} }

// once is the name of the definition of a variant of t, made at the first use.
func (f *file) once(t *schema.Type, variant int, name string, define func(name string)) string {
	key := fmt.Sprint(variant, string((&schema.Schema{Value: t}).Encode()))
	made, ok := f.made[key]
	if !ok {
		made = f.scope.free(name)
		f.made[key] = made
		define(made)
	}
	return made
}

// text is a file being written.
type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

// table writes cells in columns; a row's last cell is a comment.
func (t *text) table(indent string, gap string, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, row := range rows {
		t.WriteString(indent)
		for i, cell := range row {
			if i < len(row)-1 {
				cell = fmt.Sprintf("%-*s", widths[i]+len(gap), cell)
			}
			t.WriteString(cell)
		}
		t.WriteString("\n")
	}
}

// head says what this is, in the comments of a language.
func (t *text) head(r *Rows, comment, perCPU string) {
	t.line("%s Rows of the map %s, as 'ringside schema' found them.", comment, snake(r.Name))
	if r.CPUs > 0 {
		t.line("%s The map is per CPU: %s", comment, perCPU)
	}
}
