// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
)

// verdict is the document of `validate -o json`.
type verdict struct {
	SchemaVersion int    `json:"schema_version"`
	File          string `json:"file"`
	Valid         bool   `json:"valid"`
	// Of a valid file.
	Maps   int    `json:"maps"`
	Rings  int    `json:"rings"`
	Socket string `json:"socket"`
	// Of one that is not.
	Problems []problem `json:"problems"`
	More     int       `json:"more_problems"` // that are not listed
}

type problem struct {
	Where   string `json:"where"`
	Message string `json:"message"` // what to do included
}

func validateCommand() *cli.Command {
	return &cli.Command{
		Name:  "validate",
		Usage: "check a configuration file without touching anything",
		Description: `Prints every problem with its line, the path of the field and what to do.
It looks at the file alone: not at pins, groups or the socket.

   ringside validate --config /etc/ringside/ringside.yaml`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", TakesFile: true, Usage: "the `FILE` to check"},
			outputFlag("text or json", "text"),
		},
		Action: validate,
	}
}

func validate(c *cli.Context) error {
	format, err := outputFormat(c, "text", "json")
	if err == nil {
		err = noArguments(c)
	}
	if err != nil {
		return err
	}
	file := c.String("config")
	if file == "" {
		return usageError("which file? give --config FILE")
	}
	cfg, err := config.Flags{File: file}.Resolve(os.Getenv(socketEnv))
	v := verdict{SchemaVersion: 1, File: file, Valid: err == nil, Problems: []problem{}}
	if wrong := (*config.Error)(nil); errors.As(err, &wrong) {
		v.More = wrong.More
		for _, p := range wrong.Problems {
			v.Problems = append(v.Problems, problem{p.Where, p.Message()})
		}
	} else if err != nil {
		return err // there is nothing to judge
	} else {
		v.Maps, v.Rings, v.Socket = len(cfg.Maps), len(cfg.Rings), cfg.Socket.Path
	}
	return errors.Join(err, printVerdict(c.App.Writer, v, format))
}

// printVerdict leaves problems to standard error if nobody wants the document.
func printVerdict(w io.Writer, v verdict, format string) (err error) {
	switch {
	case format == "json":
		err = printLine(w, v)
	case v.Valid:
		_, err = fmt.Fprintf(w, "%s: valid: maps: %d, rings: %d, socket: %s\n", v.File, v.Maps, v.Rings, v.Socket)
	}
	return err
}
