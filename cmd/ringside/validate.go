// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
)

func validateCommand() *cli.Command {
	return &cli.Command{
		Name:  "validate",
		Usage: "check a configuration file without touching anything",
		Description: `Prints every problem with its line, the path of the field and what to do.
It looks at the file alone: not at pins, groups or the socket.

   ringside validate --config /etc/ringside/ringside.yaml`,
		Flags: []cli.Flag{&cli.StringFlag{Name: "config", TakesFile: true, Usage: "the `FILE` to check"}},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if c.String("config") == "" {
				return usageError("which file? give --config FILE")
			}
			cfg, err := config.Flags{File: c.String("config")}.Resolve(os.Getenv(socketEnv))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.App.Writer, "%s: valid: maps: %d, rings: %d, socket: %s\n",
				c.String("config"), len(cfg.Maps), len(cfg.Rings), cfg.Socket.Path)
			return err
		},
	}
}
