// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"
	"os/signal"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
)

func main() { os.Exit(run(os.Args)) }

func run(args []string) int {
	// SIGHUP, too: a sidecar whose terminal goes away should tell its consumers.
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	// The first signal asks; a second one is not caught any more, so it ends
	// whatever does not listen.
	defer context.AfterFunc(ctx, stop)()
	if os.Getenv(socketEnv) == "" { // to the library it would be a path
		os.Unsetenv(socketEnv)
	}
	app := newApp(os.Stdout, os.Stderr)
	return report(os.Stderr, app.RunContext(ctx, flagsFirst(app, args)))
}

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:  "ringside",
		Usage: "read BPF maps at memory speed, without privilege",
		Description: `One privileged sidecar reads pinned BPF maps and publishes them into sealed
shared memory; any number of programs without privilege read from there.

   ringside maps                             what is pinned here
   ringside serve --map /sys/fs/bpf/flows    read it ten times a second
   ringside status                           is it healthy, who reads
   ringside tail                             see the records`,
		Version:        buildVersion().Version,
		Commands:       commands(),
		Flags:          logFlags(),
		Action:         noVerb,
		OnUsageError:   wrongUsage,
		ExitErrHandler: func(*cli.Context, error) {}, // report decides, not the library
		Suggest:        true,
		Writer:         stdout,
		ErrWriter:      stderr,
		// Completion is asked for by the shell with a hidden flag; it costs nothing otherwise.
		EnableBashCompletion: true,
	}
	for _, c := range app.Commands {
		c.OnUsageError = wrongUsage
	}
	return app
}

// noVerb runs when the first argument is no verb.
func noVerb(c *cli.Context) error {
	name := c.Args().First()
	if name == "" {
		return cli.ShowAppHelp(c)
	}
	if near := cli.SuggestCommand(c.App.Commands, name); near != "" {
		return usageError("unknown verb %q: %s See 'ringside --help'", name, near)
	}
	return usageError("unknown verb %q: see 'ringside --help'", name)
}
