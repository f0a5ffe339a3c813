// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/inventory"
)

// defaultBPFFS is where systemd and every tool expect it.
const defaultBPFFS = "/sys/fs/bpf"

func mapsCommand() *cli.Command {
	return &cli.Command{
		Name:  "maps",
		Usage: "list what is pinned, and how each map would be read",
		Description: `Walks the bpffs and shows every pinned map: its type and sizes, whether its
rows have types (a schema, from BTF), and the engine that would read it or the
reason why none can. Entries that are no maps, or that may not be opened, are
listed with the reason.

With --advise it reads each map once, for at most 0.2 s, and says what a scan
costs, what makes it slow, and what the map's owner could change.

With --unpinned it shows the maps of running programs that have no pin there,
with the command that pins each. This needs root.

   ringside maps
   ringside maps --advise
   ringside maps --unpinned
   ringside maps -o json | jq -r '.maps[] | select(.readable) | .pin'`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bpffs", Value: defaultBPFFS, TakesFile: true, Usage: "look below `DIR`, a bpffs or a directory in one"},
			&cli.BoolFlag{Name: "unpinned", Usage: "maps of running programs that are not pinned there"},
			&cli.BoolFlag{Name: "advise", Usage: "read each map once: what it costs, what makes it slow, what could be changed"},
			outputFlag("table or json", "table"),
		},
		Action: listMaps,
	}
}

// listing is a document with two forms.
type listing interface{ WriteTable(io.Writer) error }

func listMaps(c *cli.Context) error {
	format, err := outputFormat(c, "table", "json")
	if err == nil {
		err = noArguments(c)
	}
	if err != nil {
		return err
	}
	dir, err := bpffsDir(c.String("bpffs"))
	if err != nil {
		return err
	}
	doc, err := collect(dir, c.Bool("unpinned"), c.Bool("advise"))
	switch {
	case err != nil:
		return err
	case format == "json":
		return json.NewEncoder(c.App.Writer).Encode(doc)
	}
	return doc.WriteTable(c.App.Writer)
}

func collect(dir string, unpinned, advise bool) (listing, error) {
	switch {
	case unpinned && advise:
		return nil, usageError("--advise reads maps by their pins: pin them first, --unpinned shows how")
	case unpinned:
		return inventory.CollectUnpinned(dir)
	}
	doc, err := inventory.Collect(dir)
	if err == nil && advise {
		doc.Advise()
	}
	return doc, err
}

// bpffsDir is the directory that was meant, free of dots.
func bpffsDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if st, err := os.Lstat(dir); err == nil && !st.IsDir() && st.Mode()&os.ModeSymlink == 0 {
		return "", usageError("--bpffs %s: not a directory; try its parent: --bpffs %s", dir, filepath.Dir(dir))
	}
	return dir, nil
}
