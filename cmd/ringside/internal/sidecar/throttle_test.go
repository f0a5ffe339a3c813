// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// logbook is a logger with a clock of its own.
type logbook struct {
	*logger
	out  bytes.Buffer
	time time.Time
}

func newLogbook(level zerolog.Level) *logbook {
	b := &logbook{time: time.Unix(0, 0)}
	b.logger = newLogger(zerolog.New(&b.out).Level(level))
	b.now = func() time.Time { return b.time }
	return b
}

// lines takes what was logged since the last call.
func (b *logbook) lines(t *testing.T) (list []map[string]any) {
	t.Helper()
	in := json.NewDecoder(&b.out)
	for in.More() {
		var line map[string]any
		if err := in.Decode(&line); err != nil {
			t.Fatal(err)
		}
		list = append(list, line)
	}
	b.out.Reset()
	return list
}

func (b *logbook) fail(subject string) {
	b.about(zerolog.WarnLevel, subject, "scan failed", func(e *zerolog.Event) { e.Err(errors.New("no luck")) })
}

func TestSameMessageIsCountedNotRepeated(t *testing.T) {
	b := newLogbook(zerolog.InfoLevel)
	for range 1000 {
		b.fail("flows")
	}
	b.fail("stats") // another subject speaks for itself
	lines := b.lines(t)
	if len(lines) != 2 || lines[0]["subject"] != "flows" || lines[0]["error"] != "no luck" || lines[0]["suppressed"] != nil || lines[1]["subject"] != "stats" {
		t.Fatalf("first: %v", lines)
	}
	b.time = b.time.Add(quiet)
	b.fail("flows")
	if lines = b.lines(t); len(lines) != 1 || lines[0]["suppressed"] != 999.0 {
		t.Fatalf("after %v: %v", quiet, lines)
	}
}

func TestWhatKeepsComingIsSaidLessOften(t *testing.T) {
	b := newLogbook(zerolog.InfoLevel)
	said := 0
	for range 3600 {
		b.fail("flows")
		said += len(b.lines(t))
		b.time = b.time.Add(time.Second)
	}
	// 10, 20, 40 ... 300 s apart: 16 in an hour, where every ten seconds would be 360.
	if said > 17 || said < 12 {
		t.Fatalf("said %d times in an hour", said)
	}
	b.time = b.time.Add(mostQuiet)
	b.fail("flows")
	b.time = b.time.Add(mostQuiet)
	b.fail("flows") // it had stopped: from the beginning
	b.lines(t)
	b.time = b.time.Add(quiet)
	b.fail("flows")
	if len(b.lines(t)) != 1 {
		t.Fatal("still kept quiet as before it stopped")
	}
}

func TestForgetSpeaksAtOnce(t *testing.T) {
	b := newLogbook(zerolog.InfoLevel)
	b.fail("flows")
	b.forget("flows", "scan failed")
	b.fail("flows")
	if n := len(b.lines(t)); n != 2 {
		t.Fatalf("%d lines", n)
	}
}

func TestLevelHolds(t *testing.T) {
	b := newLogbook(zerolog.ErrorLevel)
	b.fail("flows")
	if lines := b.lines(t); len(lines) != 0 {
		t.Fatal(lines)
	}
}

func TestSubjectsAreBounded(t *testing.T) {
	b := newLogbook(zerolog.Disabled)
	for i := range 3 * maxSubjects {
		b.fail(fmt.Sprint("uid ", i))
		if len(b.said) > maxSubjects {
			t.Fatalf("remembers %d subjects", len(b.said))
		}
	}
}
