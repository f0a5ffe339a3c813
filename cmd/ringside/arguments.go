// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst puts the flags of a verb before its arguments, where alone the
// library looks for them: `top flows --by bytes` is how people write it. What
// stands behind "--" stays an argument.
func flagsFirst(app *cli.App, args []string) []string {
	if args[len(args)-1] == "--generate-bash-completion" {
		return args // a line that is being written
	}
	at := 1 + arguments(app.Flags, args[min(1, len(args)):], nil)
	if at >= len(args) {
		return args
	}
	verb := app.Command(args[at])
	if verb == nil {
		return args
	}
	flags := slices.Clone(args[:at+1])
	rest := args[at+1:]
	var words []string
	for len(rest) > 0 {
		n := arguments(verb.Flags, rest, &flags)
		rest = rest[n:]
		if len(rest) == 0 {
			break
		}
		if rest[0] == "--" {
			words = append(words, rest[1:]...)
			break
		}
		words = append(words, rest[0])
		rest = rest[1:]
	}
	if len(words) > 0 {
		flags = append(append(flags, "--"), words...)
	}
	return flags
}

// arguments is how many of args are flags and their values, up to the first word
// that is neither. It appends them to to, if there is one.
func arguments(known []cli.Flag, args []string, to *[]string) int {
	n := 0
	for n < len(args) && len(args[n]) > 1 && args[n][0] == '-' && args[n] != "--" {
		from := n
		name, _, whole := strings.Cut(strings.TrimLeft(args[n], "-"), "=")
		n++
		if !whole && takesValue(known, name) && n < len(args) {
			n++
		}
		if to != nil {
			*to = append(*to, args[from:n]...)
		}
	}
	return n
}

func takesValue(known []cli.Flag, name string) bool {
	for _, f := range known {
		if d, ok := f.(cli.DocGenerationFlag); ok && slices.Contains(f.Names(), name) {
			return d.TakesValue()
		}
	}
	return false
}
