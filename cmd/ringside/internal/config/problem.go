// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrInvalid means that a configuration file says something that cannot be
	// done.
	ErrInvalid = errors.New("configuration is not valid")
	// ErrFlags means the same of a command line.
	ErrFlags = errors.New("flags are not valid")
)

// Problem is one thing that is wrong, and what to do about it.
type Problem struct {
	Where  string // "ringside.yaml:12: maps[0].every", "--map"
	Cause  string
	Remedy string // may be empty
}

func (p Problem) String() string {
	return p.Where + ": " + p.Message()
}

// Message is cause and remedy.
func (p Problem) Message() string {
	if p.Remedy == "" {
		return p.Cause // which may name it
	}
	return p.Cause + "; " + p.Remedy
}

// Error is all that is wrong. It unwraps to ErrInvalid or ErrFlags.
type Error struct {
	Problems []Problem
	More     int // that are not among them
	kind     error
}

func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	lines := make([]string, 0, len(e.Problems)+1)
	lines = append(lines, fmt.Sprintf("%v: %d problems", e.kind, len(e.Problems)+e.More))
	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

func (e *Error) Unwrap() error { return e.kind }

// maxProblems bounds what a file full of nonsense can print.
const maxProblems = 20

// problems collects what is found on the way.
type problems struct {
	list []Problem
	more int
	kind error
}

func (p *problems) add(where, remedy, cause string, args ...any) {
	if len(p.list) == maxProblems {
		p.more++
		return
	}
	p.list = append(p.list, Problem{where, fmt.Sprintf(cause, args...), remedy})
}

func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &Error{p.list, p.more, p.kind}
}
