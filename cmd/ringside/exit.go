// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/acl"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/record"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// Exit codes are a contract with scripts and service managers; those from 64 on
// mean what sysexits.h says.
const (
	exitOK          = 0 // also Ctrl-C, and a limit that was reached
	exitUnhealthy   = 1 // `status` alone
	exitUsage       = 64
	exitUnavailable = 69 // no sidecar, or it was lost
	exitInternal    = 70
	exitPermission  = 77
	exitConfig      = 78
)

// codedError is an error whose exit code was decided where it arose.
type codedError struct {
	code int
	err  error // nil: everything there is to say has been said
}

func (e *codedError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *codedError) Unwrap() error { return e.err }

// withCode fixes the exit code of an error.
func withCode(code int, err error) error { return &codedError{code, err} }

// usageError is a command line that cannot be meant.
func usageError(format string, args ...any) error {
	return withCode(exitUsage, fmt.Errorf(format, args...))
}

// wrongUsage words what the flag parser found.
func wrongUsage(c *cli.Context, err error, _ bool) error {
	return usageError("%w; see '%s --help'", err, c.Command.HelpName)
}

// noArguments is for verbs that take flags alone. A flag behind an argument is
// not parsed as one, which must not pass in silence.
func noArguments(c *cli.Context) error {
	if !c.Args().Present() {
		return nil
	}
	return usageError("unexpected argument %q; see '%s --help'", c.Args().First(), c.Command.HelpName)
}

// meanings of errors that verbs let through. The first that fits decides, so
// that what the kernel does not let us do comes before what follows from it.
var meanings = []struct {
	is   error
	code int
}{
	{config.ErrFlags, exitUsage},
	{reader.ErrPermission, exitPermission},
	{reader.ErrRefused, exitPermission},
	{handoff.ErrPermission, exitPermission},
	{handoff.ErrNotAllowed, exitPermission},
	{fs.ErrPermission, exitPermission},
	{unix.EROFS, exitPermission}, // /run in a container without a volume for it
	{handoff.ErrNoSidecar, exitUnavailable},
	{handoff.ErrNoReply, exitUnavailable},
	{handoff.ErrHangup, exitUnavailable},
	{handoff.ErrBusy, exitUnavailable},
	{handoff.ErrTryAgain, exitUnavailable},
	{shm.ErrBarred, exitUnavailable}, // for a while
	{record.ErrStaysAway, exitUnavailable},
	{config.ErrInvalid, exitConfig},
	{fs.ErrExist, exitConfig}, // a recording writes over nothing
	{acl.ErrNoGroup, exitConfig},
	{fs.ErrNotExist, exitConfig}, // of a file that the user named
	{handoff.ErrLive, exitConfig},
	{handoff.ErrNoDirectory, exitConfig},
	{handoff.ErrNotSocket, exitConfig},
	{handoff.ErrNotFound, exitConfig},
	{reader.ErrNotBPFFS, exitConfig},
	{reader.ErrNotPinned, exitConfig},
	{reader.ErrNotMap, exitConfig},
	{reader.ErrUnsupported, exitConfig},
	{reader.ErrNoEngine, exitConfig},
	{reader.ErrTooLarge, exitConfig},
	{reader.ErrCPUs, exitConfig},
	{shm.ErrTooLarge, exitConfig},
	{unix.ENAMETOOLONG, exitConfig},
}

// exitCode maps an error to the contract. What a verb has not decided itself
// follows from what the error is.
func exitCode(err error) int {
	var coded *codedError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, context.Canceled): // Ctrl-C
		return exitOK
	}
	for _, m := range meanings {
		if errors.Is(err, m.is) {
			return m.code
		}
	}
	return exitInternal
}

// report prints an error, once, and returns the exit code.
func report(w io.Writer, err error) int {
	code := exitCode(err)
	var coded *codedError
	silent := errors.As(err, &coded) && coded.err == nil
	if code != exitOK && !silent {
		fmt.Fprintf(w, "ringside: %v\n", err)
	}
	return code
}
