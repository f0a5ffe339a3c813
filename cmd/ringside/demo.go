// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/demo"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/live"
)

// figuresFD is where the demo's consumer finds the page for its figures: the
// first descriptor after standard error.
const figuresFD = 3

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "see the whole product in ten seconds",
		Description: `Loads a few built-in BPF programs that count system calls, waits for a CPU,
TCP connections and what each process does; pins their maps in a bpffs of its
own; serves them; and starts a consumer as uid 65534 without any capability.

What is shown was read by that consumer, from shared memory. Among it are the
consumer's own system calls, as the kernel counted them in the very map that it
reads: they stay flat while the rows climb.

Everything is removed at the end, also after Ctrl-C. What a killed demo left
behind is removed by the next one. Needs root: it loads BPF programs.`,
		Flags: append([]cli.Flag{
			&cli.DurationFlag{Name: "for", Value: 10 * time.Second, Usage: "how `LONG` to show it"},
			outputFlag("text, json (one object at the end)", "text"),
		}, logFlags()...),
		Action: runDemo,
	}
}

func runDemo(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	format, err := outputFormat(c, "text", "json")
	if err != nil {
		return err
	}
	if c.Duration("for") <= 0 {
		return usageError("--for %v: use a duration above zero, such as 10s", c.Duration("for"))
	}
	log, err := newLogger(c)
	if err != nil {
		return err
	}
	if !c.IsSet("log-level") {
		log = log.Level(zerolog.ErrorLevel) // what is normal would only disturb the picture
	}
	// As in serve; and what was mounted has to be removed whoever looks.
	signal.Ignore(unix.SIGPIPE)
	summary, err := live.Run(c.Context, live.Options{
		For: c.Duration("for"), Base: demo.DefaultBase, Out: c.App.Writer, Terminal: isTerminal(c.App.Writer),
		Quiet: format == "json", Version: buildVersion().Version, Log: log,
	})
	switch {
	case errors.Is(err, demo.ErrPermission):
		return withCode(exitPermission, err)
	case errors.Is(err, os.ErrPermission):
		return withCode(exitPermission, fmt.Errorf("%w; the demo loads BPF programs: run it as root", err))
	case err != nil:
		return err
	case format == "json":
		return json.NewEncoder(c.App.Writer).Encode(summary)
	}
	if err := conclude(c.App.Writer, &summary); !errors.Is(err, unix.EPIPE) {
		return err
	}
	return nil // whoever looked has seen enough
}

// conclude says in words what was shown.
func conclude(w io.Writer, s *live.Summary) error {
	for _, part := range s.LeftOut {
		fmt.Fprintf(w, "left out on this kernel: %s\n", part)
	}
	var calls []string
	for name, n := range s.SyscallsByName {
		calls = append(calls, fmt.Sprintf("%s %d", name, n))
	}
	by := ""
	if len(calls) > 0 {
		by = " (" + strings.Join(calls, ", ") + ")"
	}
	_, err := fmt.Fprintf(w, "\nA process of uid %d without privilege read %d rows in %.1f s and lost %d.\n"+
		"Its reading thread made %d system calls meanwhile%s, says the map that it read.\n",
		s.ConsumerUID, s.Rows, s.DurationSeconds, s.LostRows, s.SyscallsReading, by)
	return err
}

// demoConsumerCommand is this program again, started by the demo.
func demoConsumerCommand() *cli.Command {
	return &cli.Command{
		Name:   live.ConsumerVerb,
		Hidden: true,
		Usage:  "the unprivileged half of 'ringside demo'",
		Flags:  []cli.Flag{socketFlag()},
		Action: func(c *cli.Context) error {
			return live.Consume(c.Context, c.String("socket"), os.NewFile(figuresFD, "figures"))
		},
	}
}
