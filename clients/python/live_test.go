// SPDX-License-Identifier: Apache-2.0

package python_test

import (
	"os/exec"
	"testing"

	"github.com/ringside-bpf/ringside/clients/clienttest"
	"github.com/ringside-bpf/ringside/shm"
)

// consumer runs tests/consumer.py.
func consumer(python func(testing.TB, ...string) *exec.Cmd) clienttest.Consumer {
	return func(tb testing.TB, role, socket string) *clienttest.Program {
		tb.Helper()
		return clienttest.Start(tb, python(tb, "consumer.py", role, socket))
	}
}

var (
	numpy     = consumer(full)
	consumers = map[string]clienttest.Consumer{"numpy": numpy, "bare": consumer(bare)}
)

func TestSuccessors(t *testing.T) {
	for name, c := range consumers {
		t.Run(name, func(t *testing.T) {
			t.Run("all rows", func(t *testing.T) { c.ReadsAllRows(t, "read") })
			t.Run("superseded", func(t *testing.T) { c.LeavesSuperseded(t, "read") })
		})
	}
}

func TestLeaksNothing(t *testing.T) {
	for name, c := range consumers {
		t.Run(name, c.LeaksNothing)
	}
}

func TestCountsLoss(t *testing.T)               { numpy.CountsLoss(t) }
func TestLearnsOfItsEviction(t *testing.T)      { numpy.LearnsOfItsEviction(t) }
func TestHangsAndNobody(t *testing.T)           { numpy.HangsAndNobody(t, "error NoSidecar 111") }
func TestAsksForKeyframes(t *testing.T)         { numpy.AsksForKeyframes(t) }
func TestLeasesUnderFire(t *testing.T)          { numpy.LeasesUnderFire(t) }
func TestReadingMakesNoSystemCall(t *testing.T) { numpy.ReadsWithoutSystemCalls(t) }
func TestKeepsATable(t *testing.T)              { numpy.KeepsATable(t) } // and a DataFrame of it

// An event loop sleeps until there is something, and hears of a sidecar that dies
// and of one that comes back.
func TestAsyncio(t *testing.T) {
	s := clienttest.Open(t, 1<<20)
	f := clienttest.AddFeed(t, s.Ring, 0)
	c := numpy(t, "aio", s.Path)
	c.Expect(t, "attached")
	for range 3 {
		f.Publish(t, 20)
		c.Expect(t, "reading")
		f.PublishEach(t, 99, 20) // the next one is reported, and was slept for
	}
	s.Close(t)
	c.Expect(t, "gone")
	s.Replace(t, shm.Config{DataBytes: 1 << 20})
	clienttest.AddFeed(t, s.Ring, 0).Publish(t, 3)
	s.Listen(t)
	c.Expect(t, "restart")
	c.Expect(t, "reading")
	c.Stdin.Close()
	c.Expect(t, "end")
}
