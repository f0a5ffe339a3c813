// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

const (
	// statusTimeout is when a sidecar that accepts and says nothing is said to hang.
	statusTimeout = 3 * time.Second
	watchEvery    = time.Second
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "is it healthy, what is read, who reads, who lags",
		Description: `Exits with 0 if the sidecar is healthy (ok or idle), 1 if it is not, 69 if it
cannot be reached or does not answer, 77 if you may not ask. Asking changes
nothing of what is shown. The codes of reasons are in docs/operations.md.`,
		Flags: []cli.Flag{
			socketFlag(), outputFlag("table or json", "table"),
			&cli.BoolFlag{Name: "brief", Usage: "one line; as json, of health alone"},
			&cli.BoolFlag{Name: "watch", Usage: "look again every second, until Ctrl-C"},
		},
		Action: showStatus,
	}
}

func showStatus(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	format, err := outputFormat(c, "table", "json")
	if err != nil {
		return err
	}
	show := func(w io.Writer, raw []byte, doc *status.Document) error {
		terminal := isTerminal(c.App.Writer)
		switch {
		case c.Bool("brief") && format == "json":
			return printLine(w, struct {
				SchemaVersion int           `json:"schema_version"`
				Health        status.Health `json:"health"`
			}{doc.SchemaVersion, doc.Health})
		case c.Bool("brief"):
			return status.Brief(w, doc)
		case format == "json":
			return printJSON(w, raw)
		}
		return status.Table(w, doc, terminal)
	}
	if c.Bool("watch") {
		return watchStatus(c, show)
	}
	raw, doc, err := askStatus(c.Context, c.String("socket"))
	if err == nil {
		err = show(c.App.Writer, raw, doc)
	}
	if err == nil && !doc.Health.State.Healthy() {
		err = withCode(exitUnhealthy, nil) // the document says why
	}
	return err
}

// watchStatus shows one look after the other. A sidecar that goes away ends it:
// whoever watches wants to know.
func watchStatus(c *cli.Context, show func(io.Writer, []byte, *status.Document) error) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		raw, doc, err := askStatus(c.Context, c.String("socket"))
		if err != nil {
			return err
		}
		var page bytes.Buffer
		if isTerminal(c.App.Writer) && c.String("output") == "table" && !c.Bool("brief") {
			page.WriteString("\x1b[H\x1b[2J") // home, clear
		}
		if err := show(&page, raw, doc); err != nil {
			return err
		}
		if _, err := page.WriteTo(c.App.Writer); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-c.Context.Done():
			return nil
		}
	}
}

// askStatus gets the document, as it came and as we understand it.
func askStatus(ctx context.Context, socket string) ([]byte, *status.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	conn, err := handoff.Dial(ctx, socket)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	raw, err := conn.Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	var doc status.Document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, nil, fmt.Errorf("status from %s: %w", socket, err)
	}
	if doc.SchemaVersion != status.SchemaVersion {
		return nil, nil, fmt.Errorf("status from %s: schema_version %d, this command knows %d: use the one that came with the sidecar", socket, doc.SchemaVersion, status.SchemaVersion)
	}
	return raw, &doc, nil
}

// printJSON prints what the sidecar said, fields included that a newer one has.
func printJSON(w io.Writer, raw []byte) error {
	var page bytes.Buffer
	if err := json.Indent(&page, raw, "", "  "); err != nil {
		return err
	}
	page.WriteByte('\n')
	_, err := page.WriteTo(w)
	return err
}
