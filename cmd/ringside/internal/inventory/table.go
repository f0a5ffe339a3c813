// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// gap is the space between two columns.
const gap = 2

// WriteTable prints the document for people.
func (d *Pinned) WriteTable(w io.Writer) error {
	if len(d.Maps) == 0 {
		fmt.Fprintf(w, "no map is pinned below %s; 'ringside maps --unpinned' shows those that could be\n", d.BPFFS)
	} else {
		t := newTable(w, "PIN", "TYPE", "KEY", "VALUE", "MAX ENTRIES", "SCHEMA", "ENGINE", "WHY")
		for i := range d.Maps {
			m := &d.Maps[i]
			t.row(m.Pin, m.MapType, bytes(m.KeySize), m.valueCell(), strconv.Itoa(m.MaxEntries), m.schemaCell(), m.engineCell(), m.why())
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	d.writeAdvice(w)
	if len(d.PassedOver) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\npassed over:")
	t := newTable(w, "PATH", "KIND", "WHY")
	for _, p := range d.PassedOver {
		t.row(p.Path, p.Kind, p.Reason)
	}
	return t.Flush()
}

// writeAdvice prints what was found out about each map. A write that fails fails
// again in what follows.
func (d *Pinned) writeAdvice(w io.Writer) {
	for i := range d.Maps {
		m := &d.Maps[i]
		switch {
		case m.Cost != nil:
			fmt.Fprintf(w, "\n%s: %s\n", m.Pin, m.Cost)
		case m.CostReason != "":
			fmt.Fprintf(w, "\n%s: could not be read: %s\n", m.Pin, m.CostReason)
		}
		for _, a := range m.Advice {
			fmt.Fprintf(w, "  %s: %s\n      %s\n", a.Code, a.Message, a.Remedy)
		}
		if m.Cost != nil && len(m.Advice) == 0 {
			fmt.Fprintln(w, "  nothing to advise")
		}
	}
}

func (m *Map) valueCell() string {
	if m.CPUs > 0 {
		return fmt.Sprintf("%s x %d CPUs", bytes(m.MapValueSize), m.CPUs)
	}
	return bytes(m.MapValueSize)
}

func (m *Map) engineCell() string {
	if m.Engine != "" {
		return m.Engine
	}
	return "none"
}

func (m *Map) why() string {
	if !m.Readable || m.SchemaReason == "" {
		return m.EngineReason
	}
	what := "no schema: "
	if m.Schema {
		what = "no more of a schema: "
	}
	return m.EngineReason + "; " + what + m.SchemaReason
}

func (m *Map) schemaCell() string {
	switch {
	case !m.Schema:
		return "no"
	case m.SchemaReason != "":
		return "in part" // of key or value alone
	}
	return "yes"
}

// WriteTable prints the document for people: what each map is, and the commands
// that pin them, ready to be copied.
func (d *Unpinned) WriteTable(w io.Writer) error {
	if len(d.Maps) == 0 {
		_, err := fmt.Fprintf(w, "every map of this system is pinned below %s\n", d.BPFFS)
		return err
	}
	t := newTable(w, "ID", "NAME", "TYPE", "KEY", "VALUE", "MAX ENTRIES", "PROGRAMS", "TO PIN IT")
	for i := range d.Maps {
		m := &d.Maps[i]
		last := m.PinCommand
		if !m.Readable {
			last = "of no use: " + m.Reason
		}
		t.row(strconv.FormatUint(uint64(m.MapID), 10), dash(m.MapName), m.MapType, bytes(m.KeySize), bytes(m.MapValueSize),
			strconv.Itoa(m.MaxEntries), dash(strings.Join(m.Programs, ",")), last)
	}
	return t.Flush()
}

// table aligns columns; the last one may be of any length.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer, head ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 0, gap, ' ', 0)}
	t.row(head...)
	return t
}

// row keeps its first error for Flush.
func (t table) row(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) }

func bytes(n int) string { return strconv.Itoa(n) + " B" }

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
