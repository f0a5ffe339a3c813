// SPDX-License-Identifier: Apache-2.0

package table

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Table is a title, columns and rows. Cells that begin with a digit or a sign
// are numbers to whoever lays them out: columns are aligned by their kind.
type Table struct {
	Title   string
	Columns []Column
	Rows    [][]string
}

// Column is a heading. Text columns are aligned left, all others right.
type Column struct {
	Name string
	Text bool
}

// Text makes a column of words, Number one of figures.
func Text(name string) Column   { return Column{name, true} }
func Number(name string) Column { return Column{name, false} }

// Add appends a row; missing cells stay empty.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Write lays the table out for a terminal.
func (t *Table) Write(w io.Writer) error {
	var b strings.Builder
	if t.Title != "" {
		b.WriteString(t.Title + "\n")
	}
	width := t.widths()
	for r := -1; r < len(t.Rows); r++ {
		var line strings.Builder
		for i, c := range t.Columns {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(t.cell(r, i)))
			if c.Text {
				line.WriteString(t.cell(r, i) + pad + "  ")
			} else {
				line.WriteString(pad + t.cell(r, i) + "  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Markdown lays the table out for a document. The title is the document's.
func (t *Table) Markdown(w io.Writer) error {
	var b strings.Builder
	for r := -1; r < len(t.Rows); r++ {
		b.WriteByte('|')
		for i := range t.Columns {
			b.WriteString(" " + strings.ReplaceAll(t.cell(r, i), "|", `\|`) + " |")
		}
		b.WriteByte('\n')
		if r < 0 {
			b.WriteByte('|')
			for _, c := range t.Columns {
				if c.Text {
					b.WriteString("---|")
				} else {
					b.WriteString("---:|")
				}
			}
			b.WriteByte('\n')
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell is the text at row r, column i; row -1 is the heading.
func (t *Table) cell(r, i int) string {
	switch {
	case r < 0:
		return t.Columns[i].Name
	case i < len(t.Rows[r]):
		return t.Rows[r][i]
	}
	return ""
}

func (t *Table) widths() []int {
	width := make([]int, len(t.Columns))
	for r := -1; r < len(t.Rows); r++ {
		for i := range t.Columns {
			width[i] = max(width[i], utf8.RuneCountInString(t.cell(r, i)))
		}
	}
	return width
}

// Figure writes a number with three significant digits, and never more digits
// after the point than a measurement deserves.
func Figure(v float64) string {
	switch abs := math.Abs(v); {
	case abs >= 99.95:
		return Count(int64(math.Round(v)))
	case abs >= 9.995:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// Count writes a whole number with its thousands apart.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
