// SPDX-License-Identifier: Apache-2.0

package rust_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ringside-bpf/ringside/clients/clienttest"
	"github.com/ringside-bpf/ringside/shm"
)

// start runs the example of a consumer, in a role.
func start(tb testing.TB, role, socket string) *clienttest.Program {
	tb.Helper()
	return clienttest.Start(tb, exec.Command(example(tb, "consumer"), role, socket))
}

var consumer clienttest.Consumer = start

// A ring is left for its successor, also by a program that polls the descriptor in
// a loop of its own.
func TestSuccessors(t *testing.T) {
	for _, role := range []string{"read", "poll"} {
		t.Run(role, func(t *testing.T) {
			t.Run("all rows", func(t *testing.T) { consumer.ReadsAllRows(t, role) })
			t.Run("superseded", func(t *testing.T) { consumer.LeavesSuperseded(t, role) })
		})
	}
}

func TestCountsLoss(t *testing.T)               { consumer.CountsLoss(t) }
func TestLearnsOfItsEviction(t *testing.T)      { consumer.LearnsOfItsEviction(t) }
func TestHangsAndNobody(t *testing.T)           { consumer.HangsAndNobody(t, "error NoSidecar") }
func TestAsksForKeyframes(t *testing.T)         { consumer.AsksForKeyframes(t) }
func TestLeaksNothing(t *testing.T)             { consumer.LeaksNothing(t) }
func TestLeasesUnderFire(t *testing.T)          { consumer.LeasesUnderFire(t) }
func TestKeepsATable(t *testing.T)              { consumer.KeepsATable(t) }
func TestReadingMakesNoSystemCall(t *testing.T) { consumer.ReadsWithoutSystemCalls(t) }

// A recorded ring is read from its oldest frame to its end.
func TestReadsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "flows.ring")
	ring, err := shm.CreateFile(path, shm.Config{Name: clienttest.RingName, DataBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	f := clienttest.AddFeed(t, ring.Publisher, 0)
	f.PublishEach(t, 200, 50)
	if err := ring.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rows, lost uint64
	if _, err := fmt.Sscan(consumer(t, "file", path).Expect(t, "file"), &rows, &lost); err != nil {
		t.Fatal(err)
	}
	// Its beginning is the oldest frame that it has, so that nothing is lost.
	if rows == 0 || rows >= f.Rows || lost != 0 {
		t.Errorf("%d rows of %d, %d lost", rows, f.Rows, lost)
	}
}
