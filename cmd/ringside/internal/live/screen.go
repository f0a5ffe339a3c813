// SPDX-License-Identifier: Apache-2.0

package live

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	home       = "\x1b[H"
	clearLine  = "\x1b[K"
	clearBelow = "\x1b[J"
	clearAll   = "\x1b[2J"
	bold       = "\x1b[1m"
	dim        = "\x1b[2m"
	plain      = "\x1b[0m"

	graphWidth  = 40
	shownAtOnce = 6 // processes
)

// screen paints figures: over and over on a terminal, a line a second elsewhere.
type screen struct {
	w        io.Writer
	terminal bool
	lasts    time.Duration

	rows, calls []uint64 // totals, one a painting, for the graphs
	said        int      // seconds that have had their line
}

func (s *screen) open() {
	if s.terminal {
		io.WriteString(s.w, clearAll+hideCursor)
	}
}

func (s *screen) close() {
	if s.terminal {
		io.WriteString(s.w, showCursor)
	}
}

// paint shows the figures as they are now. A screen that cannot be written to is
// no reason to stop: the demo's answer is its summary.
func (s *screen) paint(f *figures) {
	made := f.whileReading()
	s.rows = append(s.rows, f.Rows)
	s.calls = append(s.calls, uint64(total(made)))
	if !s.terminal {
		s.line(f, made)
		return
	}
	text := home + strings.ReplaceAll(s.view(f, made), "\n", clearLine+"\n") + clearBelow
	io.WriteString(s.w, text)
}

// line is what a log file gets.
func (s *screen) line(f *figures, made map[int32]int64) {
	if sec := int(f.seconds()); sec > s.said {
		s.said = sec
		fmt.Fprintf(s.w, "%3d s  %s rows read (%s a second), %s lost, system calls of the reading thread meanwhile: %s\n",
			sec, grouped(f.Rows), grouped(uint64(f.rowsPerSecond())), grouped(f.LostRows), describeCalls(made))
	}
}

func (s *screen) view(f *figures, made map[int32]int64) string {
	var b strings.Builder
	emphasise := func(text string) string { return bold + text + plain }
	fmt.Fprintf(&b, "%s   a process without any privilege reads BPF maps, live%*s\n\n",
		emphasise("ringside demo"), 14, fmt.Sprintf("%.0f of %.0f s", f.seconds(), s.lasts.Seconds()))
	fmt.Fprintf(&b, "  consumer            uid %d, effective capabilities %s, reading thread %d\n", f.UID, f.Capabilities, f.TID)
	fmt.Fprintf(&b, "  rows read           %s   %s a second   %s lost\n",
		emphasise(fmt.Sprintf("%14s", grouped(f.Rows))), grouped(uint64(f.rowsPerSecond())), grouped(f.LostRows))
	fmt.Fprintf(&b, "                      %s\n", graph(s.rows, f.Rows))
	fmt.Fprintf(&b, "  its system calls    %s   %s\n",
		emphasise(fmt.Sprintf("%14s", grouped(uint64(total(made))))), dim+describeCalls(made)+plain)
	fmt.Fprintf(&b, "  while it read       %s\n", graph(s.calls, f.Rows))
	fmt.Fprintf(&b, "                      %sto the same scale; counted by the kernel in the map that it reads%s\n\n", dim, plain)
	fmt.Fprintf(&b, "  %sbusiest processes          cpu     system calls/s%s\n", dim, plain)
	for _, p := range f.Processes[:min(len(f.Processes), shownAtOnce)] {
		fmt.Fprintf(&b, "  %-24s %4.0f %%   %16s\n", fmt.Sprintf("%s (%d)", p.Name, p.PID), 100*p.CPU, grouped(uint64(p.Syscalls)))
	}
	fmt.Fprintf(&b, "\n  waiting for a CPU   p50 ≤ %v   p99 ≤ %v\n",
		time.Duration(f.WaitP50NS).Round(time.Microsecond), time.Duration(f.WaitP99NS).Round(time.Microsecond))
	fmt.Fprintf(&b, "  TCP                 %s connections established, %s changes of state\n", grouped(f.Connections), grouped(f.TCPChanges))
	return b.String()
}

// graph draws how a total grew, oldest first, to a scale whose top is highest.
func graph(totals []uint64, highest uint64) string {
	const levels = "▁▂▃▄▅▆▇█"
	marks := []rune(levels)
	var b strings.Builder
	for _, v := range totals[max(0, len(totals)-graphWidth):] {
		i := 0
		if highest > 0 {
			i = int(v * uint64(len(marks)-1) / highest)
		}
		b.WriteRune(marks[min(i, len(marks)-1)])
	}
	return b.String()
}

// grouped writes 1234567 as 1,234,567.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
