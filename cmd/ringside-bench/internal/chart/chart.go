// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// Bar is one measurement.
type Bar struct {
	Label string
	Value float64
	Text  string // beside the bar: the value as it is to be read
	Ours  bool   // drawn in the accent colour
}

// Group is a set of bars with a heading, drawn to a scale of its own.
type Group struct {
	Name string
	Bars []Bar
}

const (
	width   = 760
	margin  = 12
	labels  = 200 // room for the labels
	numbers = 90  // and for the figures
	line    = 20
	heading = 30
	style   = `
  .page { fill: #ffffff; }
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .head { font-weight: 600; }
  .note { fill: #59636e; }
  .bar { fill: #818b98; }
  .ours { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; }
    text { fill: #e6edf3; }
    .note { fill: #9198a1; }
    .bar { fill: #7d8590; }
    .ours { fill: #4493f8; }
  }
`
)

// Bars draws the groups below each other. Shorter is better or longer is
// better: note says which, in words.
func Bars(w io.Writer, title, note string, groups []Group) error {
	var b strings.Builder
	y := 24
	text(&b, margin, y, "head", title)
	y += line
	text(&b, margin, y, "note", note)
	for _, g := range groups {
		y += heading
		text(&b, margin, y, "head", g.Name)
		for _, bar := range g.Bars {
			y += line
			draw(&b, y, bar, g.longest())
		}
	}
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">
<title>%s</title>
<style>%s</style>
<rect class="page" width="100%%" height="100%%"/>
%s</svg>
`, width, y+line, width, y+line, html.EscapeString(title), style, b.String())
	return err
}

func draw(b *strings.Builder, y int, bar Bar, longest float64) {
	class, length := "bar", 1.0
	if bar.Ours {
		class = "ours"
	}
	if longest > 0 {
		length = max(1, bar.Value/longest*(width-labels-numbers))
	}
	text(b, 2*margin, y, "", bar.Label)
	fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`+"\n", class, labels, y-line+7, length, line-5)
	text(b, labels+int(length)+8, y, "", bar.Text)
}

func text(b *strings.Builder, x, y int, class, s string) {
	if class != "" {
		class = fmt.Sprintf(` class="%s"`, class)
	}
	fmt.Fprintf(b, `<text%s x="%d" y="%d">%s</text>`+"\n", class, x, y, html.EscapeString(s))
}

func (g Group) longest() float64 {
	longest := 0.0
	for _, bar := range g.Bars {
		longest = max(longest, bar.Value)
	}
	return longest
}
