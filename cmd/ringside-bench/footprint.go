// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
)

// What the sidecar may weigh.
const (
	mostBinaryBytes = 8_000_000
	mostBesideBytes = 20_000_000
)

// footprintRow is one part of the sidecar.
type footprintRow struct {
	Part  string `json:"part"`
	Bytes uint64 `json:"bytes"`
	Note  string `json:"note,omitempty"`
}

func runFootprint(ctx context.Context, b *bench) (*result, error) {
	r := b.result(
		"The binary is what `make build` made, beside this program or in bin/.",
		"Memory is what `ringside status` says of a `ringside serve` that reads a hash, a per-CPU hash and a mmapable array ten times a second, asked again and again; the largest 'beside' counts. Beside is resident memory less rings, scratch and history: code, heap, stacks and the mapped array's pages.",
	)
	path, err := sidecarBinary()
	if errors.Is(err, fs.ErrNotExist) {
		r.Method = append(r.Method, "There is no bin/ringside: run `make build` first. Nothing was measured.")
		r.Rows = []footprintRow{}
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	binary, err := weigh(path)
	if err != nil {
		return nil, err
	}
	rows := []footprintRow{binary}
	r.Figures = append(r.Figures, atMost("the binary", exactly(float64(binary.Bytes)/1e6), mostBinaryBytes/1e6, mega))
	m, err := b.residence(ctx, path)
	if err != nil {
		return nil, err
	}
	rows = append(rows,
		footprintRow{"resident", m.RSS, ""}, footprintRow{"rings", m.Rings, ""}, footprintRow{"scratch", m.Scratch, ""},
		footprintRow{"history", m.History, "superseded rings that are still held"}, footprintRow{"beside", m.beside(), ""})
	r.Figures = append(r.Figures, atMost("resident beside rings and scratch", exactly(float64(m.beside())/1e6), mostBesideBytes/1e6, mega))
	r.Rows = rows
	t := &table.Table{Title: "The sidecar", Columns: []table.Column{table.Text("part"), table.Number("MB"), table.Text("")}}
	for _, row := range rows {
		t.Add(row.Part, table.Figure(float64(row.Bytes)/1e6), row.Note)
	}
	r.tables = append(r.tables, t)
	return r, nil
}

// sidecarBinary is the ringside that belongs to this program.
func sidecarBinary() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	beside := filepath.Join(filepath.Dir(self), "ringside")
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	_, err = os.Stat("bin/ringside")
	return "bin/ringside", err
}

// weigh says how large the binary is, and whether it is stripped.
func weigh(path string) (footprintRow, error) {
	st, err := os.Stat(path)
	if err != nil {
		return footprintRow{}, err
	}
	row := footprintRow{Part: "binary", Bytes: uint64(st.Size()), Note: "stripped"}
	f, err := elf.Open(path)
	if err != nil {
		return row, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	if f.Section(".symtab") != nil || f.Section(".debug_info") != nil || f.Section(".zdebug_info") != nil {
		row.Note = "NOT stripped"
	}
	return row, nil
}

// memory is the part of the status document that is about it.
type memory struct {
	RSS     uint64 `json:"rss_bytes"`
	Rings   uint64 `json:"rings_bytes"`
	Scratch uint64 `json:"scratch_bytes"`
	History uint64 `json:"history_bytes"`
}

func (m memory) beside() uint64 { return m.RSS - min(m.RSS, m.Rings+m.Scratch+m.History) }

// residence runs a sidecar for a while and says what it held at most.
func (b *bench) residence(ctx context.Context, path string) (most memory, err error) {
	args := []string{"--read-when-idle"}
	for _, s := range subjects() {
		if s.name != "hash" && s.name != "percpu_hash" && !s.mmapable() {
			continue
		}
		f, err := b.fill(s)
		if err != nil {
			return most, err
		}
		args = append(args, "--map", f.pin)
	}
	s, err := b.startSidecar(ctx, path, sidecarName, args)
	if err != nil {
		return most, err
	}
	for start := time.Now(); most.RSS == 0 || time.Since(start) < b.lasts; {
		doc, err := s.await(ctx)
		if err != nil {
			return most, err
		}
		if m := doc.Sidecar.Memory; m.beside() >= most.beside() {
			most = m
		}
		b.progress("serving")
	}
	return most, nil
}
