// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"

	"github.com/urfave/cli/v2"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/langs"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm/schema"
)

func schemaCommand() *cli.Command {
	return &cli.Command{
		Name:      "schema",
		Usage:     "print the types of a map's rows, as a client's language has them",
		ArgsUsage: "PIN",
		Description: `Prints definitions of a map's key and value that the clients accept: from the
pin, which needs the right to open it; or, with --map, from a ring, which needs
none but to attach. Every byte is accounted for: padding is spelled out, packed
structs are packed or read through functions, bitfields and unions too where the
language has none, and each file asserts its sizes and offsets. For a map that
is per CPU the value is that of one CPU. A map without types has bytes.

   ringside schema /sys/fs/bpf/flows --lang go > flows.go
   ringside schema --map flows --lang c > flows.h
   ringside schema --ring main --map flows --lang python`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "lang", Value: "json", Usage: "`LANGUAGE`: json, go, c, rust or python (numpy)"},
			&cli.StringFlag{Name: "map", Usage: "the rows of the map of this `NAME` in a ring"},
			&cli.StringFlag{Name: "ring", Value: ringside.DefaultRing, Usage: "in the ring of this `NAME`"},
			socketFlag(),
		},
		Action: printSchema,
	}
}

// schemaPrinters write definitions.
var schemaPrinters = map[string]func(*langs.Rows) string{
	"go": langs.Go, "c": langs.C, "rust": langs.Rust, "python": langs.Python,
}

// schemaDocument is what `schema --lang json` prints. Sizes are bytes.
type schemaDocument struct {
	SchemaVersion int          `json:"schema_version"`
	Name          string       `json:"name"`
	KeySize       int          `json:"key_size"`
	ValueSize     int          `json:"value_size"` // of one CPU
	CPUs          int          `json:"cpus"`       // values a row; 0: the map is not per-CPU
	Key           *schema.Type `json:"key"`        // null: no types
	Value         *schema.Type `json:"value"`
	Reason        string       `json:"reason,omitempty"` // why a side has no types
}

func printSchema(c *cli.Context) error {
	lang := c.String("lang")
	write := schemaPrinters[lang]
	if write == nil && lang != "json" {
		return usageError("--lang %q: use json, go, c, rust or python", lang)
	}
	var doc *schemaDocument
	var err error
	switch name := c.String("map"); {
	case c.NArg() == 1 && name == "" && !c.IsSet("ring"):
		doc, err = schemaOfPin(c.Args().First())
	case c.NArg() == 0 && name != "":
		doc, err = schemaOfSource(c, name)
	default:
		return usageError("name one pin, or a map of a ring with --map; see '%s --help'", c.Command.HelpName)
	}
	switch {
	case err != nil:
		return err
	case write == nil:
		e := json.NewEncoder(c.App.Writer)
		e.SetIndent("", "  ")
		return e.Encode(doc)
	}
	_, err = io.WriteString(c.App.Writer, write(&langs.Rows{
		Name: doc.Name, Key: doc.Key, Value: doc.Value, KeySize: doc.KeySize, ValueSize: doc.ValueSize, CPUs: doc.CPUs,
	}))
	return err
}

// schemaOfPin asks the map itself. The engine that needs nothing loads nothing.
func schemaOfPin(pin string) (*schemaDocument, error) {
	src, err := reader.Open(pin, reader.Options{Engine: reader.EngineWalk})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	i := src.Info()
	doc := &schemaDocument{
		SchemaVersion: 1, Name: i.Name, KeySize: i.KeySize, ValueSize: i.MapValueSize, CPUs: i.CPUs, Reason: i.SchemaReason,
	}
	doc.types(i.Schema)
	return doc, nil
}

// schemaOfSource asks a ring's catalog.
func schemaOfSource(c *cli.Context, name string) (*schemaDocument, error) {
	sub, err := ringside.Attach(c.Context, ringside.Options{
		Socket: c.String("socket"), Ring: c.String("ring"), Name: "ringside schema", Source: name, Start: ringside.StartHead,
	})
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	for _, src := range sub.Sources() {
		if src.Name != name {
			continue
		}
		doc := &schemaDocument{SchemaVersion: 1, Name: name, KeySize: src.KeySize, ValueSize: src.ValueSize, CPUs: src.CPUs}
		doc.types(src.Schema)
		switch {
		case doc.Value != nil:
			doc.ValueSize = doc.Value.Size // a CPU's slot may end in padding
		case src.CPUs > 0:
			doc.ValueSize /= src.CPUs
		}
		return doc, nil
	}
	return nil, ringside.ErrNoSource
}

func (d *schemaDocument) types(s *schema.Schema) {
	if s != nil {
		d.Key, d.Value = s.Key, s.Value
	}
}
