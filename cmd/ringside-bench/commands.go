// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"
)

func commands(stdout, stderr io.Writer) []*cli.Command {
	var list []*cli.Command
	for _, e := range experiments() {
		list = append(list, &cli.Command{
			Name: e.name, Usage: e.question,
			Flags: []cli.Flag{entriesFlag(), forFlag(e), outputFlag()},
			Action: func(c *cli.Context) error {
				o, err := parseOptions(c, e)
				if err != nil {
					return err
				}
				return runOne(c.Context, e, o, c.String("output"), stdout, stderr)
			},
		})
	}
	return append(list, allCommand(stdout, stderr), reportCommand(stderr), readerCommand(stdout), consumerCommand(stdout), watcherCommand(stdout))
}

func allCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "all", Usage: "every experiment, one after the other",
		Flags: []cli.Flag{entriesFlag(), &cli.BoolFlag{Name: "short", Usage: "measure a few rounds only, and leave out large maps"}, outputFlag()},
		Action: func(c *cli.Context) error {
			for i, e := range experiments() {
				o, err := parseOptions(c, e)
				if err != nil {
					return err
				}
				if i > 0 && c.String("output") == outputTable {
					fmt.Fprintln(stdout)
				}
				if err := runOne(c.Context, e, o, c.String("output"), stdout, stderr); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func reportCommand(stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "report", Usage: "every experiment, written down as DIR/benchmarks.md with charts",
		Flags: []cli.Flag{
			entriesFlag(),
			&cli.StringFlag{Name: "write", Usage: "`DIR` to write to", Required: true, TakesFile: true},
		},
		Action: func(c *cli.Context) error {
			var plan []planned
			for _, e := range experiments() {
				o, err := parseOptions(c, e)
				if err != nil {
					return err
				}
				plan = append(plan, planned{e, o})
			}
			return report(c.Context, plan, c.String("write"), stderr)
		},
	}
}

const (
	outputTable = "table"
	outputJSON  = "json"
)

func entriesFlag() cli.Flag {
	return &cli.IntFlag{Name: "entries", Usage: "fill maps with `N` entries, and leave out larger ones", Value: defaultEntries}
}

func forFlag(e experiment) cli.Flag {
	return &cli.DurationFlag{Name: "for", Usage: "measure for about `TIME`", Value: e.lasts}
}

func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "output `FORMAT`: table or json", Value: outputTable}
}

// parseOptions holds the flags against what they can mean.
func parseOptions(c *cli.Context, e experiment) (options, error) {
	o := options{entries: c.Int("entries"), lasts: e.lasts, pass: passFor}
	if !c.IsSet("entries") {
		o.large = largeEntries
	}
	switch {
	case c.Bool("short"):
		o.lasts, o.short, o.large = e.short, true, 0
	case c.IsSet("for"):
		o.lasts = c.Duration("for")
	}
	switch out := c.String("output"); {
	case c.Args().Present():
		return o, fmt.Errorf("%w: unexpected argument %q; see '%s --help'", errUsage, c.Args().First(), c.Command.HelpName)
	case o.entries < minEntries || o.entries > maxEntries:
		return o, fmt.Errorf("%w: --entries %d: between %d and %d", errUsage, o.entries, minEntries, maxEntries)
	case o.lasts <= 0:
		return o, fmt.Errorf("%w: --for %v: must be longer than nothing", errUsage, o.lasts)
	case out != "" && out != outputTable && out != outputJSON:
		return o, fmt.Errorf("%w: -o %q: use %s or %s", errUsage, out, outputTable, outputJSON)
	}
	return o, requireRoot()
}
