// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/record"
)

func recordCommand() *cli.Command {
	return &cli.Command{
		Name:      "record",
		Usage:     "write what a ring publishes to a file; needs no privilege",
		ArgsUsage: "FILE",
		Description: `Attaches to a ring like any other consumer, from the newest complete scans on,
and writes its frames to a file that 'tail --file' and every client can read.
Ends after --for, or with Ctrl-C. Says what was recorded and what was missed.

The file grows with what it holds, up to --bytes; after that the oldest frames
make room for the newest, and the last line says how many did. Nobody but you can
read it. When the sidecar is replaced, record goes on with its successor; when it
stays away for 5 seconds, the file is finished and the exit code is 69.

   ringside record --for 10s flows.ring
   ringside tail --file flows.ring`,
		Flags: []cli.Flag{
			socketFlag(),
			&cli.StringFlag{Name: "ring", Value: ringside.DefaultRing, Usage: "record the ring of this `NAME`"},
			&cli.DurationFlag{Name: "for", DefaultText: "until Ctrl-C", Usage: "how `LONG` to record"},
			outputFlag("text, json (one object at the end)", "text"),
			&cli.StringFlag{Name: "bytes", Usage: "keep the newest frames, up to this `SIZE` (default: 256MiB, or the ring's own size if that is more)"},
		},
		Action: recordRing,
	}
}

func recordRing(c *cli.Context) error {
	if c.NArg() != 1 {
		return usageError("name one file to write; see '%s --help'", c.Command.HelpName)
	}
	format, err := outputFormat(c, "text", "json")
	if err != nil {
		return err
	}
	o := record.Options{
		Socket: c.String("socket"), Ring: c.String("ring"), File: c.Args().First(), Patience: comeBackTime,
	}
	if c.IsSet("bytes") {
		if o.Bytes, err = config.ParseBytes(c.String("bytes")); err != nil {
			return usageError("--bytes: %w", err)
		}
	}
	ctx := c.Context
	switch d := c.Duration("for"); {
	case d > 0:
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, d)
		defer stop()
	case c.IsSet("for"):
		return usageError("--for %v: use a duration above zero, such as 10s", d)
	}
	sum, err := record.Run(ctx, o)
	if sum != nil {
		err = errors.Join(err, printSummary(c.App.Writer, o.File, sum, format))
	}
	switch {
	case errors.Is(err, record.ErrTooSmall):
		return usageError("--bytes: %w", err)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w; nothing is written over: remove it, or name another", err)
	case errors.Is(err, fs.ErrPermission) && isAbout(err, o.File):
		return fmt.Errorf("%w; choose a directory that uid %d may write to", err, os.Geteuid())
	}
	return err
}

// isAbout tells whether an error is that of opening a file.
func isAbout(err error, file string) bool {
	var e *fs.PathError
	return errors.As(err, &e) && e.Path == file
}

func printSummary(w io.Writer, file string, s *record.Summary, format string) error {
	if format == "json" {
		return printLine(w, struct {
			SchemaVersion int    `json:"schema_version"`
			File          string `json:"file"`
			*record.Summary
		}{1, file, s})
	}
	text := fmt.Sprintf("%s: %d frames with %d rows; lost %d frames with %d rows", file, s.Frames, s.Rows, s.LostFrames, s.LostRows)
	if !s.Exact {
		text += ", perhaps more: the sidecar went away"
	}
	if s.Restarts > 0 {
		text += fmt.Sprintf("; attached again %d times", s.Restarts)
	}
	if s.Overwritten > 0 {
		text += fmt.Sprintf("; the oldest %d frames made room, more --bytes keep more", s.Overwritten)
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
