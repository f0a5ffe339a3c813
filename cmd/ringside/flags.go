// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
)

const (
	socketEnv     = "RINGSIDE_SOCKET"
	defaultSocket = config.DefaultSocket
)

// socketFlag is where the sidecar listens, for every verb that talks to it.
func socketFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "socket", EnvVars: []string{socketEnv}, Value: defaultSocket, TakesFile: true,
		Usage: "Unix socket of the sidecar, a `PATH`",
	}
}

// outputFlag is -o with the formats a verb knows, the default first.
func outputFlag(formats string, first string) cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: first, Usage: "output `FORMAT`: " + formats}
}

// outputFormat is what -o asks for, if the verb knows it.
func outputFormat(c *cli.Context, known ...string) (string, error) {
	got := c.String("output")
	for _, k := range known {
		if got == k {
			return got, nil
		}
	}
	return "", usageError("-o %q: use one of %v", got, known)
}

// printLine prints a document on one line.
func printLine(w io.Writer, document any) error { return json.NewEncoder(w).Encode(document) }
