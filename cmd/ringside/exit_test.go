// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, exitOK},
		{context.Canceled, exitOK}, // Ctrl-C
		{withCode(exitUnhealthy, nil), exitUnhealthy},
		{usageError("what?"), exitUsage},
		{config.ErrFlags, exitUsage},
		{config.ErrInvalid, exitConfig},
		{handoff.ErrNoSidecar, exitUnavailable},
		{handoff.ErrNoReply, exitUnavailable},
		{handoff.ErrHangup, exitUnavailable},
		{handoff.ErrPermission, exitPermission},
		{handoff.Refuse(13, "no"), exitPermission}, // EACCES
		{handoff.Refuse(syscall.EBUSY, "barred for 20s"), exitUnavailable},
		{handoff.ErrLive, exitConfig},
		{syscall.ENAMETOOLONG, exitConfig},
		{reader.ErrNotMap, exitConfig},
		{&reader.PinError{Cause: fmt.Errorf("%w: %w", reader.ErrPermission, fs.ErrPermission)}, exitPermission},
		{errors.Join(reader.ErrNotMap, reader.ErrPermission), exitPermission},
		{&fs.PathError{Op: "mkdir", Path: "/run/ringside", Err: syscall.EROFS}, exitPermission},
		{errors.New("a bug"), exitInternal},
	} {
		if got := exitCode(fmt.Errorf("around it: %w", tt.err)); tt.err != nil && got != tt.want {
			t.Errorf("%v: exit code %d, want %d", tt.err, got, tt.want)
		}
	}
	if exitCode(nil) != exitOK {
		t.Error("no error is an error")
	}
}

func TestReportSaysItOnce(t *testing.T) {
	for _, tt := range []struct {
		err  error
		says string
	}{
		{nil, ""},
		{context.Canceled, ""},
		{withCode(exitUnhealthy, nil), ""},
		{errors.New("a bug"), "ringside: a bug\n"},
	} {
		var b strings.Builder
		if report(&b, tt.err); b.String() != tt.says {
			t.Errorf("%v: %q", tt.err, b.String())
		}
	}
}
