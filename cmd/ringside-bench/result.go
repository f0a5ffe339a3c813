// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/chart"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/machine"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
)

// schemaVersion counts incompatible changes of the JSON documents.
const schemaVersion = 1

// result is the outcome of one experiment: a JSON document, and the same for
// people.
type result struct {
	SchemaVersion int             `json:"schema_version"`
	Experiment    string          `json:"experiment"`
	Machine       machine.Machine `json:"machine"`
	Entries       int             `json:"entries"`
	Method        []string        `json:"method"` // a sentence each
	Rows          any             `json:"rows"`
	Parallel      any             `json:"parallel,omitempty"` // rows of several readers at once
	Figures       []figure        `json:"figures"`

	command string
	tables  []*table.Table
	chart   *picture
}

// measuredIn is part of the method of whatever is made of passes.
const measuredIn = "Times are processor time of the thread that does the work, in the kernel and outside of it; rows a second are those of one processor. What the Go runtime's own threads do (garbage collection, for those who allocate) is not in it."

// picture is a chart of an experiment.
type picture struct {
	title, note string
	groups      []chart.Group
}

// bar adds a bar to the group of that name, which is the last or a new one.
func (p *picture) bar(group string, bar chart.Bar) {
	if n := len(p.groups); n == 0 || p.groups[n-1].Name != group {
		p.groups = append(p.groups, chart.Group{Name: group})
	}
	g := &p.groups[len(p.groups)-1]
	g.Bars = append(g.Bars, bar)
}

func (b *bench) result(method ...string) *result {
	return &result{SchemaVersion: schemaVersion, Experiment: b.name, Machine: machine.Describe(),
		Entries: b.entries, Method: method, Figures: []figure{}}
}

func (r *result) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r *result) print(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s\n", r.command, r.where())
	for _, t := range r.tables {
		fmt.Fprintln(w)
		if err := t.Write(w); err != nil {
			return err
		}
	}
	if t := figureTable(r.Figures); t != nil {
		fmt.Fprintln(w)
		if err := t.Write(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\nMethod\n- %s\n", strings.Join(r.Method, "\n- "))
	return err
}

// where says on what the figures were measured.
func (r *result) where() string {
	m := r.Machine
	return fmt.Sprintf("Linux %s, %d CPUs, %s, %s", m.Kernel, m.CPUs, m.Model, m.Go)
}
