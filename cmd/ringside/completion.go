// SPDX-License-Identifier: Apache-2.0

package main

import (
	_ "embed"
	"io"

	"github.com/urfave/cli/v2"
)

// The scripts ask the program itself, with the hidden flag that
// EnableBashCompletion gives it, so they never fall behind it.
var (
	//go:embed completion/ringside.bash
	bashCompletion string
	//go:embed completion/ringside.zsh
	zshCompletion string
)

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script of a shell",
		ArgsUsage: "bash|zsh|fish",
		Description: `Installed by 'make install'. For one session, or from a start-up file:

   source <(ringside completion bash)
   source <(ringside completion zsh)
   ringside completion fish | source`,
		Action: printCompletion,
	}
}

func printCompletion(c *cli.Context) error {
	if c.NArg() != 1 {
		return usageError("name one shell: bash, zsh or fish; see '%s --help'", c.Command.HelpName)
	}
	var script string
	var err error
	switch shell := c.Args().First(); shell {
	case "bash":
		script = bashCompletion
	case "zsh":
		script = zshCompletion
	case "fish":
		script, err = c.App.ToFishCompletion()
	default:
		return usageError("no completion for %q: bash, zsh or fish", shell)
	}
	if err == nil {
		_, err = io.WriteString(c.App.Writer, script)
	}
	return err
}
