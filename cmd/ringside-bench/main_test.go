// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// TestMain lets the test binary be the children that experiments start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{readerVerb, consumerVerb, watcherVerb}, os.Args[1]) {
		main()
	}
	os.Exit(m.Run())
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"nonsense"},
		{"maptypes", "--nonsense"},
		{"maptypes", "extra"},
		{"maptypes", "--entries", "1"},
		{"maptypes", "--entries", "1000000000"},
		{"maptypes", "--for", "-1s"},
		{"maptypes", "-o", "xml"},
		{"maptypes", "--short"}, // that is for all of them
		{"all", "--for", "1s"},
		{"report"},
	} {
		var out, errs bytes.Buffer
		code := run(append([]string{"ringside-bench"}, args...), &out, &errs)
		if args[0] == "report" { // the library's own words for a missing flag
			if code == exitOK || !strings.Contains(errs.String(), "write") {
				t.Errorf("%v: exit %d, %q", args, code, errs.String())
			}
			continue
		}
		if code != exitUsage || !strings.HasPrefix(errs.String(), "ringside-bench: wrong usage") {
			t.Errorf("%v: exit %d, %q", args, code, errs.String())
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"maptypes", "--help"}, {"all", "--help"}} {
		var out, errs bytes.Buffer
		if code := run(append([]string{"ringside-bench"}, args...), &out, &errs); code != exitOK || out.Len() == 0 {
			t.Errorf("%v: exit %d, %d bytes, %q", args, code, out.Len(), errs.String())
		}
	}
}

func TestWithoutRoot(t *testing.T) {
	check := func() error {
		var out, errs bytes.Buffer
		code := run([]string{"ringside-bench", "maptypes", "--entries", "64", "--for", "1ms"}, &out, &errs)
		if code != exitPermission || !strings.Contains(errs.String(), "needs root, runs as uid ") {
			t.Errorf("exit %d, %q", code, errs.String())
		}
		return nil
	}
	if os.Geteuid() != 0 {
		check()
		return
	}
	bpftest.AsUser(t, bpftest.Nobody, check)
}
