// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/sidecar"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// reloadTimeout is for a sidecar that has many maps to open.
const reloadTimeout = 30 * time.Second

func reloadCommand() *cli.Command {
	return &cli.Command{
		Name:  "reload",
		Usage: "make the sidecar read its configuration again",
		Description: `Says what has changed. Maps and rings that are configured as before go on
untouched; a ring of another size, or one that somebody has who may no longer, is
replaced, and its consumers attach again by themselves. A file that is not valid,
or cannot work, changes nothing: the problem is printed and the exit code is 78.
Only root and the sidecar's own user may ask. SIGHUP does the same to a
sidecar that has a configuration file, and ends one that has none.

What stands under reader: and the socket's path need 'serve --takeover'.`,
		Flags:  []cli.Flag{socketFlag(), outputFlag("text or json", "text")},
		Action: reload,
	}
}

func reload(c *cli.Context) error {
	format, err := outputFormat(c, "text", "json")
	if err == nil {
		err = noArguments(c)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, reloadTimeout)
	defer cancel()
	conn, err := handoff.Dial(ctx, c.String("socket"))
	if err != nil {
		return err
	}
	defer conn.Close()
	raw, err := conn.Reload(ctx)
	if errors.Is(err, syscall.EINVAL) {
		return withCode(exitConfig, err)
	}
	var changes sidecar.Changes
	if err == nil {
		err = json.Unmarshal(raw, &changes)
	}
	if err != nil {
		return err
	}
	if format == "json" {
		return printJSON(c.App.Writer, raw)
	}
	return printChanges(c.App.Writer, &changes)
}

func printChanges(w io.Writer, c *sidecar.Changes) error {
	var text strings.Builder
	for _, x := range []struct {
		what  string
		names []string
	}{{"added", c.Added}, {"removed", c.Removed}, {"changed", c.Changed}, {"rings replaced", c.Rings}, {"rings ended", c.Ended}, {"let in others", c.Rules}} {
		if len(x.names) > 0 {
			fmt.Fprintf(&text, "%s: %s\n", x.what, strings.Join(x.names, ", "))
		}
	}
	if text.Len() == 0 {
		text.WriteString("nothing has changed\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}
