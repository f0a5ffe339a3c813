// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
)

// logFlags are global, and repeated by the verbs that log, so that they may
// stand on either side of the verb.
func logFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "log-level", Value: "info", Usage: "least `LEVEL` to log: debug, info, warn, error"},
		&cli.StringFlag{Name: "log-format", Usage: "`FORMAT` of logs: json or text (default: text on a terminal, else json)"},
	}
}

// newLogger makes the logger that the flags ask for. It writes to standard error.
func newLogger(c *cli.Context) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(inherited(c, "log-level"))
	if err != nil || level == zerolog.NoLevel {
		return zerolog.Nop(), usageError("--log-level %q: use debug, info, warn or error", inherited(c, "log-level"))
	}
	out := c.App.ErrWriter
	terminal := isTerminal(out)
	switch format := inherited(c, "log-format"); {
	case format == "text", format == "" && terminal:
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: time.TimeOnly, NoColor: !terminal}
	case format != "json" && format != "":
		return zerolog.Nop(), usageError("--log-format %q: use json or text", format)
	}
	return zerolog.New(out).Level(level).Hook(stamp{}), nil
}

// stamp gives every line its time. zerolog's own way to choose a format is a
// global variable.
type stamp struct{}

func (stamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().Format("2006-01-02T15:04:05.000Z07:00"))
}

// inherited is the value of a string flag that a verb shares with the
// application: the innermost place where it was given, else its default.
func inherited(c *cli.Context, name string) string {
	for _, level := range c.Lineage() {
		if level.IsSet(name) {
			return level.String(name)
		}
	}
	return c.String(name)
}

// isTerminal tells whether a person is looking.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
