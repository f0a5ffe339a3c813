// SPDX-License-Identifier: Apache-2.0

package top

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/render"
)

// Page is one look at a table.
type Page struct {
	Ranking
	Ring    string
	Status  ringside.TableStatus
	Now     *ringside.RawSnapshot
	Before  *ringside.RawSnapshot // what rates count from; nil: no rates yet
	Seconds float64               // between the two
}

// maxCell is the widest cell of a table.
const maxCell = 40

// rate is what a row's number grew by in a second.
func (p *Page) rate(x *row, f *render.Field) float64 {
	if p.Before == nil || p.Seconds <= 0 {
		return 0
	}
	return x.change(f) / p.Seconds
}

// rateCell is a rate for people. There is none before the second scan, which is not
// the same as none at all.
func (p *Page) rateCell(x *row, f *render.Field) string {
	if p.Before == nil {
		return "-"
	}
	return strconv.FormatFloat(p.rate(x, f), 'f', 1, 64)
}

// shown tells whether column i shows a rate.
func (p *Page) shown(cells *render.Cells, i int) *render.Field {
	if !p.Rate || !cells.Value(i) {
		return nil
	}
	return cells.Number(i)
}

// Table writes the page for people.
func (p *Page) Table(w io.Writer, bold bool) error {
	src := p.Now.Source()
	cells := render.CellsOf(src)
	lines := [][]string{make([]string, cells.Len())}
	for i := range cells.Len() {
		lines[0][i] = cells.Name(i)
		if p.shown(cells, i) != nil {
			lines[0][i] += "/s"
		}
	}
	apart := p.apart(cells)
	if apart != nil {
		lines[0] = append(lines[0], p.ranked())
	}
	rows := p.best(p.Now, p.Before)
	for r := range rows {
		line := make([]string, cells.Len())
		for i := range line {
			if f := p.shown(cells, i); f != nil {
				line[i] = p.rateCell(rows[r], f)
			} else {
				line[i] = cut(cells.Append(nil, i, rows[r].key, rows[r].value))
			}
		}
		switch {
		case apart == nil:
		case p.Rate:
			line = append(line, p.rateCell(rows[r], apart))
		default:
			line = append(line, string(apart.Append(nil, apart.Of(rows[r].key, rows[r].value))))
		}
		lines = append(lines, line)
	}
	out := append([]byte(p.headline(src)), '\n')
	out = appendAligned(out, lines, func(i int) bool { return i == cells.Len() || cells.Number(i) != nil }, bold)
	_, err := w.Write(out)
	return err
}

// apart is the number that rows are ranked by, if no column shows it: one in an array.
func (p *Page) apart(cells *render.Cells) *render.Field {
	if p.By == nil {
		return nil
	}
	for i := range cells.Len() {
		if f := cells.Number(i); f != nil && f.Name == p.By.Name {
			return nil
		}
	}
	return p.By
}

// ranked is what rows are ranked by.
func (p *Page) ranked() string {
	if p.Rate {
		return p.By.Name + "/s"
	}
	return p.By.Name
}

// headline says what is shown, and whether it is as things are.
func (p *Page) headline(src *ringside.Source) string {
	text := fmt.Sprintf("%s: %d rows", render.Visible(src.Name), p.Now.Len())
	if p.By != nil {
		text += ", by " + p.ranked()
	} else {
		text += ", in the order of their keys"
	}
	text += fmt.Sprintf(", scan %d at %s", p.Now.Scan(), p.Now.Time().Format("15:04:05.000"))
	if p.Rate && p.Before == nil {
		text += "; rates need a later scan"
	}
	if !p.Status.Fresh {
		text += fmt.Sprintf("; stale: %v", p.Status.Reason)
	}
	return text
}

func cut(cell []byte) string {
	if utf8.RuneCount(cell) <= maxCell {
		return string(cell)
	}
	at := 0
	for range maxCell - 1 {
		_, n := utf8.DecodeRune(cell[at:])
		at += n
	}
	return string(cell[:at]) + "…"
}

func appendAligned(out []byte, lines [][]string, right func(int) bool, bold bool) []byte {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, line := range lines {
		if bold && n == 0 {
			out = append(out, "\x1b[1m"...)
		}
		for i, cell := range line {
			pad := fmt.Sprintf("%*s", widths[i]-utf8.RuneCountInString(cell), "")
			if i > 0 {
				out = append(out, "  "...)
			}
			switch {
			case right(i):
				out = append(append(out, pad...), cell...)
			case i < len(line)-1:
				out = append(append(out, cell...), pad...)
			default:
				out = append(out, cell...)
			}
		}
		if bold && n == 0 {
			out = append(out, "\x1b[0m"...)
		}
		out = append(out, '\n')
	}
	return out
}

// document is the page for programs. Rows are in their order; rates are by column
// name, a second.
type document struct {
	SchemaVersion int               `json:"schema_version"`
	Ring          string            `json:"ring"`
	Map           string            `json:"map"`
	By            string            `json:"by,omitempty"`
	Fresh         bool              `json:"fresh"`
	Reason        string            `json:"reason,omitempty"` // why it is not
	Scan          uint64            `json:"scan"`
	TimeNS        uint64            `json:"time_ns"` // CLOCK_MONOTONIC
	Entries       int               `json:"entries"`
	Seconds       float64           `json:"seconds,omitempty"` // that rates were measured over
	Rows          []json.RawMessage `json:"rows"`
}

// JSON writes the page for programs.
func (p *Page) JSON(w io.Writer) error {
	src := p.Now.Source()
	cells := render.CellsOf(src)
	doc := document{
		SchemaVersion: 1, Ring: p.Ring, Map: src.Name, Fresh: p.Status.Fresh, Scan: p.Now.Scan(), TimeNS: p.Now.TimeNS(),
		Entries: p.Now.Len(), Seconds: p.Seconds, Rows: []json.RawMessage{},
	}
	if !p.Status.Fresh {
		doc.Reason = p.Status.Reason.String()
	}
	if p.By != nil {
		doc.By = p.By.Name
	}
	rows := p.best(p.Now, p.Before)
	for r := range rows {
		line := cells.AppendJSON([]byte{'{'}, rows[r].key, rows[r].value)
		if p.Rate {
			text, err := json.Marshal(p.rates(cells, rows[r]))
			if err != nil {
				return err
			}
			line = append(append(line, `,"rates":`...), text...)
		}
		doc.Rows = append(doc.Rows, append(line, '}'))
	}
	return json.NewEncoder(w).Encode(&doc)
}

// rates are those of a row's columns, and of the field that ranks it. JSON has no
// infinite numbers and no NaN, which are left out.
func (p *Page) rates(cells *render.Cells, x *row) map[string]float64 {
	rates := map[string]float64{}
	add := func(f *render.Field) {
		if f == nil {
			return
		}
		if rate := p.rate(x, f); rate-rate == 0 {
			rates[f.Name] = rate
		}
	}
	add(p.By)
	for i := range cells.Len() {
		add(p.shown(cells, i))
	}
	return rates
}
