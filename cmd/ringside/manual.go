// SPDX-License-Identifier: Apache-2.0

//go:build !urfave_cli_no_docs

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// documentation is what only a build that makes the documentation can do. The
// shipped binary leaves it out, with the library's own documentation code.
func documentation() []*cli.Command {
	return []*cli.Command{{
		Name: "manual", Hidden: true,
		Usage: "print the manual page",
		Action: func(c *cli.Context) error {
			var m manual
			m.page(c.App)
			_, err := io.WriteString(c.App.Writer, m.String())
			return err
		},
	}}
}

// exitStatus is the contract of exit.go in words.
var exitStatus = []struct {
	code int
	text string
}{
	{exitOK, "All went well; also when a limit such as -n was reached, and after Ctrl-C."},
	{exitUnhealthy, "status alone: the sidecar says that it is not healthy."},
	{exitUsage, "The command line cannot be meant."},
	{exitUnavailable, "No sidecar answers, it was lost while reading, or it bars this user for a while."},
	{exitInternal, "Anything else that went wrong."},
	{exitPermission, "A permission is missing; the message says which."},
	{exitConfig, "The configuration, or what it names, cannot work."},
}

// manual writes troff. The library's own page has the flags of a verb, but not
// what the verb is for.
type manual struct{ strings.Builder }

func (m *manual) page(app *cli.App) {
	fmt.Fprintf(m, ".TH RINGSIDE 1 \"\" \"ringside %s\" \"User Commands\"\n", escape(app.Version))
	m.section("NAME", "ringside - "+app.Usage)
	m.section("SYNOPSIS", "ringside [flags] VERB [flags]")
	m.section("DESCRIPTION", app.Description)
	m.section("GLOBAL FLAGS", "")
	m.flags(app.VisibleFlags())
	m.section("VERBS", "")
	for _, c := range app.VisibleCommands() {
		if c.Name != "help" {
			m.verb(c)
		}
	}
	m.section("EXIT STATUS", "")
	for _, e := range exitStatus {
		m.item(fmt.Sprint(e.code), e.text)
	}
	m.section("ENVIRONMENT", "")
	m.item(socketEnv, "the sidecar's socket, where --socket is not given")
	m.section("FILES", "")
	m.item(defaultSocket, "the socket where neither is")
	m.item(defaultBPFFS, "where maps are pinned")
	m.section("SEE ALSO", "bpftool(8), bpf(2)")
}

func (m *manual) verb(c *cli.Command) {
	fmt.Fprintf(m, ".SS %s %s\n", escape(c.Name), escape(c.ArgsUsage))
	m.text(c.Usage + "\n\n" + c.Description)
	m.flags(c.VisibleFlags())
}

func (m *manual) flags(flags []cli.Flag) {
	for _, f := range flags {
		names, text, _ := strings.Cut(cli.FlagStringer(f), "\t")
		m.item(names, text)
	}
}

func (m *manual) item(name, text string) {
	fmt.Fprintf(m, ".TP\n.B %s\n%s\n", escape(name), escape(text))
}

func (m *manual) section(name, text string) {
	fmt.Fprintf(m, ".SH %s\n", name)
	m.text(text)
}

// text writes paragraphs; indented lines are examples and stay as they are.
func (m *manual) text(text string) {
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		example := strings.HasPrefix(paragraph, " ")
		m.WriteString(".PP\n")
		if example {
			m.WriteString(".RS\n.nf\n")
		}
		for line := range strings.Lines(paragraph) {
			m.WriteString(escape(strings.TrimSpace(line)) + "\n")
		}
		if example {
			m.WriteString(".fi\n.RE\n")
		}
	}
}

// escape keeps troff from reading anything into a line.
func escape(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(line)
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		line = `\&` + line
	}
	return line
}
