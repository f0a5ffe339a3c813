// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

const (
	// blockRows is how many rows are aligned with each other at once. Widths
	// never shrink, so blocks agree as soon as the widest cell was seen.
	blockRows = 64
	// headRows is how often a terminal gets the head again.
	headRows = 40
	// maxCell is the widest cell; JSONL shows everything.
	maxCell = 48
	gap     = "  "

	bold   = "\x1b[1m"
	yellow = "\x1b[33m"
	plain  = "\x1b[0m"
)

// Table prints aligned columns, nested fields flattened, a heading wherever
// another map begins.
type Table struct {
	output
	terminal bool
	source   *ringside.Source
	sheets   map[*ringside.Source]*sheet
	sheet    *sheet
	since    int // rows since the last head
	cells    []byte
	ends     []int // of each cell of the block, row by row
}

// sheet is how the rows of one source look.
type sheet struct {
	columns []column // behind time and scan
	widths  []int    // in runes, of all cells
}

// NewTable prints to w; for a terminal with colours.
func NewTable(w io.Writer, terminal bool) *Table {
	return &Table{output: newOutput(w), terminal: terminal, sheets: map[*ringside.Source]*sheet{}}
}

// fixed columns stand before those of a row.
var fixed = [...]string{"TIME", "SCAN"}

func newSheet(src *ringside.Source) *sheet {
	s := &sheet{columns: columnsOf(src)}
	for i := range len(fixed) + len(s.columns) {
		s.widths = append(s.widths, utf8.RuneCountInString(s.head(i)))
	}
	return s
}

func (s *sheet) head(i int) string {
	if i < len(fixed) {
		return fixed[i]
	}
	return s.columns[i-len(fixed)].name
}

// Rows prints the first n rows of b.
func (t *Table) Rows(b *ringside.Batch, n int) error {
	t.begin(b.Source)
	return t.rows(rowsOf(b), n, b.Scan, b.Time())
}

// begin turns to the sheet of a source.
func (t *Table) begin(src *ringside.Source) {
	if t.source == src {
		return
	}
	s := t.sheets[src]
	if s == nil {
		s = newSheet(src)
		t.sheets[src] = s
	}
	if t.source != nil {
		t.buf = append(t.buf, '\n')
	}
	t.source, t.sheet, t.since = src, s, -1
	t.buf = append(t.buf, "==> "...)
	t.buf = append(t.buf, Visible(src.Name)...)
	t.buf = append(t.buf, " <==\n"...)
}

func (t *Table) rows(r rows, n int, scan uint64, when time.Time) error {
	for from := 0; from < n; from += blockRows {
		grown := t.collect(r, from, min(from+blockRows, n), scan, when)
		if t.since < 0 || t.terminal && (grown || t.since >= headRows) {
			t.printHead()
		}
		t.print()
		if err := t.full(); err != nil {
			return err
		}
	}
	return nil
}

// collect fills the cells of a block and tells whether a column grew.
func (t *Table) collect(r rows, from, to int, scan uint64, when time.Time) (grown bool) {
	t.cells, t.ends = t.cells[:0], t.ends[:0]
	for i := from; i < to; i++ {
		t.cells = when.AppendFormat(t.cells, "15:04:05.000")
		t.end()
		if t.source.Events {
			t.cells = append(t.cells, '-') // they belong to no scan
		} else {
			t.cells = strconv.AppendUint(t.cells, scan, 10)
		}
		t.end()
		key, value := r.Key(i), r.Value(i)
		for c := range t.sheet.columns {
			col := &t.sheet.columns[c]
			switch {
			case !col.value:
				t.cells = col.append(t.cells, key)
			case value != nil:
				t.cells = col.append(t.cells, value)
			default:
				t.cells = append(t.cells, "deleted"...)
			}
			t.end()
		}
	}
	for i := range t.ends {
		w := &t.sheet.widths[i%len(t.sheet.widths)]
		if have := utf8.RuneCount(t.cell(i)); have > *w {
			*w, grown = have, true
		}
	}
	return grown
}

// end ends a cell, cutting it if it is too wide to be read.
func (t *Table) end() {
	from := 0
	if len(t.ends) > 0 {
		from = t.ends[len(t.ends)-1]
	}
	if len(t.cells)-from > maxCell && utf8.RuneCount(t.cells[from:]) > maxCell {
		at := from
		for range maxCell - 1 {
			_, n := utf8.DecodeRune(t.cells[at:])
			at += n
		}
		t.cells = append(t.cells[:at], "…"...)
	}
	t.ends = append(t.ends, len(t.cells))
}

func (t *Table) cell(i int) []byte {
	if i == 0 {
		return t.cells[:t.ends[0]]
	}
	return t.cells[t.ends[i-1]:t.ends[i]]
}

func (t *Table) printHead() {
	if t.terminal {
		t.buf = append(t.buf, bold...)
	}
	for i, width := range t.sheet.widths {
		name := t.sheet.head(i)
		t.put(i, []byte(name), width-utf8.RuneCountInString(name))
	}
	if t.terminal {
		t.buf = append(t.buf, plain...)
	}
	t.buf = append(t.buf, '\n')
	t.since = 0
}

func (t *Table) print() {
	n := len(t.sheet.widths)
	for i := range t.ends {
		cell := t.cell(i)
		t.put(i%n, cell, t.sheet.widths[i%n]-utf8.RuneCount(cell))
		if i%n == n-1 {
			t.buf = append(t.buf, '\n')
			t.since++
		}
	}
}

// put appends cell i of a line with pad spaces on its left or right; the last
// of a line needs none on its right.
func (t *Table) put(i int, cell []byte, pad int) {
	right := i >= len(fixed) && t.sheet.columns[i-len(fixed)].number || i == 1
	if i > 0 {
		t.buf = append(t.buf, gap...)
	}
	if right {
		t.pad(pad)
	}
	t.buf = append(t.buf, cell...)
	if !right && i < len(t.sheet.widths)-1 {
		t.pad(pad)
	}
}

func (t *Table) pad(n int) {
	for range n {
		t.buf = append(t.buf, ' ')
	}
}

// Loss prints that something is missing.
func (t *Table) Loss(kind ringside.Kind, lost ringside.Loss) error {
	if t.terminal {
		t.buf = append(t.buf, yellow...)
	}
	t.buf = append(t.buf, "-- "...)
	t.buf = append(t.buf, lossText(kind, lost)...)
	if t.terminal {
		t.buf = append(t.buf, plain...)
	}
	t.buf = append(t.buf, '\n')
	if kind == ringside.KindRestart {
		// Its sources are new ones; the old ones will not come back.
		clear(t.sheets)
		t.source = nil
	}
	return t.full()
}

func lossText(kind ringside.Kind, lost ringside.Loss) string {
	text := fmt.Sprintf("%d frames with %d rows were lost", lost.Frames, lost.Rows)
	if lost.Frames == 0 {
		text = "nothing was lost"
	}
	if !lost.Exact {
		text += ", perhaps more"
		if lost.Frames == 0 {
			text = "an unknown number of rows may be lost"
		}
	}
	if kind == ringside.KindRestart {
		return "attached again: " + text
	}
	return text
}
