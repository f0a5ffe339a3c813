// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/demo"
)

// Exit codes, the same as ringside's own.
const (
	exitOK         = 0
	exitUsage      = 64
	exitInternal   = 70
	exitPermission = 77
)

// version is set by the Makefile.
var version = "unknown"

var (
	errUsage = errors.New("wrong usage")
	errRoot  = errors.New("needs root")
)

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // a second signal is not caught any more
	err := newApp(stdout, stderr).RunContext(ctx, args)
	code := exitCode(err)
	if code != exitOK {
		fmt.Fprintf(stderr, "ringside-bench: %v\n", err)
	}
	return code
}

func exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, context.Canceled): // Ctrl-C
		return exitOK
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, errRoot), errors.Is(err, demo.ErrPermission), errors.Is(err, fs.ErrPermission):
		return exitPermission
	}
	return exitInternal
}

// requireRoot comes before anything is touched, so that the first message is
// the one that helps.
func requireRoot() error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("%w, runs as uid %d: the experiments create BPF maps and mount a bpffs; try sudo", errRoot, uid)
	}
	return nil
}

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:  "ringside-bench",
		Usage: "measure what ringside claims, on this machine",
		Description: `Every experiment prints a table, or JSON with -o json. Contenders are measured
interleaved in one run; figures are medians with the 10th and 90th percentile.
All experiments need root.

   ringside-bench maptypes                  map to a consumer's hands, by type of map
   ringside-bench all --short               all experiments, in about three minutes
   ringside-bench report --write docs       the whole report as docs/benchmarks.md`,
		Commands:       commands(stdout, stderr),
		OnUsageError:   wrongUsage,
		ExitErrHandler: func(*cli.Context, error) {}, // run decides, not the library
		Suggest:        true,
		HideVersion:    true,
		Writer:         stdout,
		ErrWriter:      stderr,
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return fmt.Errorf("%w: unknown experiment %q; see 'ringside-bench --help'", errUsage, name)
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError = wrongUsage
	}
	return app
}

func wrongUsage(c *cli.Context, err error, _ bool) error {
	return fmt.Errorf("%w: %w; see '%s --help'", errUsage, err, c.Command.HelpName)
}
