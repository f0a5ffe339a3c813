// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/chart"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
)

// reportName is the document; charts are named after it and lie beside it.
const reportName = "benchmarks.md"

//go:embed benchmarks.md.tmpl
var reportText string

// planned is an experiment with its options.
type planned struct {
	experiment
	options
}

// chapter is an experiment in the report.
type chapter struct {
	*result
	Question, Chart string
}

// written is what the template sees.
type written struct {
	Date, Version string
	Chapters      []chapter
}

// report makes all experiments and writes them down.
func report(ctx context.Context, plan []planned, dir string, stderr io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	doc := written{Date: time.Now().UTC().Format("2 January 2006"), Version: version}
	for _, p := range plan {
		r, err := measure(ctx, p.experiment, p.options, stderr)
		if err != nil {
			return err
		}
		c := chapter{result: r, Question: p.question}
		if r.chart != nil {
			c.Chart = strings.TrimSuffix(reportName, ".md") + "-" + r.Experiment + ".svg"
			if err := r.chart.write(filepath.Join(dir, c.Chart)); err != nil {
				return err
			}
		}
		doc.Chapters = append(doc.Chapters, c)
	}
	text, err := doc.render()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, reportName)
	fmt.Fprintf(stderr, "writing %s\n", path)
	return os.WriteFile(path, text, 0o644)
}

func (p *picture) write(path string) error {
	var b bytes.Buffer
	if err := chart.Bars(&b, p.title, p.note, p.groups); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

func (w written) render() ([]byte, error) {
	t, err := template.New(reportName).Parse(reportText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, w)
	return b.Bytes(), err
}

// Where says on what everything was measured.
func (w written) Where() string { return w.Chapters[0].where() }

// Command repeats the experiment.
func (c chapter) Command() string { return c.command }

// Tables are what was printed.
func (c chapter) Tables() []*table.Table { return c.tables }

// Figures are all that the design expects something of.
func (w written) Figures() (string, error) {
	var all []figure
	for _, c := range w.Chapters {
		all = append(all, c.Figures...)
	}
	return markdown(figureTable(all))
}

// NotReached are those of them that fell short.
func (w written) NotReached() []figure {
	var short []figure
	for _, c := range w.Chapters {
		for _, f := range c.Figures {
			if !f.Reached {
				short = append(short, f)
			}
		}
	}
	return short
}

// Inspired holds our figures beside those that the product began with.
func (w written) Inspired() (string, error) { return markdown(inspired(w.Chapters)) }

// Text says what fell short.
func (f figure) Text() string {
	text := fmt.Sprintf("%s: %s, expected %s", f.Name, f.with(f.Got), f.expected())
	if f.Floor != "" {
		text += " (" + f.Floor + ")"
	}
	return text
}

// Table lays one table out.
func (c chapter) Table(t *table.Table) (string, error) { return markdown(t) }

func markdown(t *table.Table) (string, error) {
	if t == nil {
		return "", nil
	}
	var b strings.Builder
	err := t.Markdown(&b)
	return b.String(), err
}
