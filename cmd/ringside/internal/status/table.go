// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Brief writes one line: the state, and what a person would ask next.
func Brief(w io.Writer, d *Document) error {
	sources, consumers := 0, 0
	for _, r := range d.Rings {
		sources += len(r.Sources)
		consumers += len(r.Consumers)
	}
	line := fmt.Sprintf("%s: %d sources, %d consumers", d.Health.State, sources, consumers)
	for i, r := range d.Health.Reasons {
		if i == 0 {
			line += "; "
		} else {
			line += ", "
		}
		line += string(r.Code)
	}
	_, err := fmt.Fprintln(w, clean(line))
	return err
}

// Table writes the document for a person; color if a terminal shows it.
func Table(w io.Writer, d *Document, color bool) error {
	p := page{w: w, color: color}
	s := &d.Sidecar
	p.line("ringside %s  pid %d  up %v  %s", s.Version, s.PID, time.Duration(s.UptimeSeconds)*time.Second, p.state(d.Health.State))
	misses := "unknown"
	if s.RecursionMisses != nil {
		misses = count(*s.RecursionMisses)
	}
	p.line("workers %d of %d  duty %.1f%% of %.0f%%%s  events lost by other programs %s",
		s.Workers, s.Pool.WorkersMax, 100*s.Duty, 100*s.Pool.DutyAllowed, stretched(s.Pool.Stretch), misses)
	p.line("memory %s  rings %s  history %s%s  scratch %s",
		size(s.Memory.RSS), size(s.Memory.Rings), size(s.Memory.History), stuck(s.Memory.Stuck), size(s.Memory.Scratch))
	if c := s.Pool.Change; c != nil {
		p.line("    workers %d to %d, %v ago: %s", c.From, c.To, time.Duration(c.AgeNS).Round(time.Second), clean(c.Reason))
	}
	for _, r := range d.Health.Reasons {
		p.line("%s %s", p.paint(alarm, string(r.Code)+":"), clean(r.Message))
		if r.Remedy != "" {
			p.line("    %s", clean(r.Remedy))
		}
	}
	for i := range d.Rings {
		p.ring(&d.Rings[i])
	}
	return p.err
}

// stuck tells how much of the history is not given back.
func stuck(bytes uint64) string {
	if bytes == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s stuck)", size(bytes))
}

// stretched tells that intervals are longer than asked for.
func stretched(factor float64) string {
	if factor <= 1 {
		return ""
	}
	return fmt.Sprintf(" (intervals up to x %.1f)", factor)
}

// held tells what a lossless ring has waited for.
func held(r *Ring) string {
	if r.Stalls == 0 {
		return ""
	}
	return fmt.Sprintf("  held up %s times, %s in all, %s evicted", count(r.Stalls), span(r.StalledNS), count(r.Evictions))
}

func (p *page) ring(r *Ring) {
	p.line("")
	p.line("%s  %s  %s  %s rows in %s frames%s", p.paint(bold, "ring "+r.Name), size(r.Bytes), r.Delivery, count(r.Rows), count(r.Frames), held(r))
	rows := [][]string{{"SOURCE", "MAP", "TYPE", "MODE", "ENGINE", "ENTRIES", "EVERY", "SCANS", "READ p50", "p99", "HOLD max", "LATE p99", "ERRORS"}}
	for _, s := range r.Sources {
		id, entries := fmt.Sprint(s.MapID), fmt.Sprintf("%s/%s", count(uint64(s.Entries)), count(uint64(s.MaxEntries)))
		if s.MapID == 0 {
			id, entries = "-", "-"
		}
		rows = append(rows, []string{s.Name, id, dash(s.MapType), s.Mode, dash(s.Engine), entries, span(s.EveryNS), count(s.Scans),
			span(s.ReadNS.P50), span(s.ReadNS.P99), span(s.HoldNSMax), span(s.LateNSP99), count(s.Errors)})
	}
	p.columns(rows)
	if len(r.Consumers) == 0 {
		p.line("  no consumers")
		return
	}
	rows = [][]string{{"CONSUMER", "PID", "UID", "STATE", "ATTACHED", "LAG rows", "LOST rows", "LAPS"}}
	for _, c := range r.Consumers {
		rows = append(rows, []string{dash(c.Name), fmt.Sprint(c.PID), fmt.Sprint(c.UID), c.State,
			(time.Duration(c.AttachedSeconds) * time.Second).String(), count(c.LagRows), count(c.LostRows), count(c.Laps)})
	}
	p.columns(rows)
}

// page writes lines and remembers the first error.
type page struct {
	w     io.Writer
	color bool
	err   error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *page) columns(rows [][]string) {
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		for i := range r {
			r[i] = clean(r[i])
		}
		fmt.Fprintf(t, "  %s\n", strings.Join(r, "\t"))
	}
	if err := t.Flush(); p.err == nil {
		p.err = err
	}
}

// The ANSI renditions in use.
const (
	bold  = "1"
	good  = "32"
	alarm = "31"
)

func (p *page) paint(rendition, s string) string {
	if !p.color {
		return s
	}
	return "\x1b[" + rendition + "m" + s + "\x1b[0m"
}

func (p *page) state(s State) string {
	if s.Healthy() {
		return p.paint(good, string(s))
	}
	return p.paint(alarm, string(s))
}
