// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/shm"
)

// Whatever a user floods the socket with, the sidecar does for it what the rate
// allows and no more, and others read on.
func TestFloodIsMetered(t *testing.T) {
	bpftest.RequireUsers(t)
	for _, c := range []struct {
		name, flood string
		allowed     bool
		tokens      int // that one thing done for it costs
	}{
		{"status", "status", true, 1},
		{"attach and hang up", "attach", true, 2},
		{"stranger", "attach", false, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var attached atomic.Int32
			s := open(t, settings{options: Options{MaxPerUID: 32}, refuse: func(p Peer, _ AttachRequest) error {
				if p.UID != bpftest.Nobody {
					return nil
				}
				attached.Add(1)
				if c.allowed {
					return nil
				}
				return Refuse(syscall.EACCES, "not you")
			}})
			s.busy(t)
			neighbour := bpftest.StartRole(t, bpftest.Nobody-1, nil, "reader", s.path)
			neighbour.Expect(t, "reading")
			done := func() int { return int(s.asked.Load() + attached.Load()) }

			began := time.Now()
			p := bpftest.StartRole(t, bpftest.Nobody, nil, "flood", s.path, c.flood)
			until(t, "the flood to cost three bursts", func() bool { return done()*c.tokens >= 3*burst })
			got, elapsed := done()*c.tokens, time.Since(began)
			if most := burst + int(elapsed/price) + 1; got > most {
				t.Errorf("the flood was served %d tokens' worth in %v, at most %d", got, elapsed, most)
			}
			// The neighbour is served at once, in the middle of it.
			dialler := bpftest.StartRole(t, bpftest.Nobody-1, nil, "dialler", s.path)
			if err := dialler.Wait(); err != nil {
				t.Error(err)
			}
			if err := p.Finish(); err != nil {
				t.Error(err)
			}
			if err := neighbour.Finish(); err != nil {
				t.Error(err)
			}
			until(t, "the flood to be over", func() bool { return s.connections() == 1 })
		})
	}
}

func init() { roles["flood"] = playFlood }

// playFlood asks args[0] as often as it can, from eight threads: for a STATUS
// again and again, or for a ring and hangs up. What comes back does not matter.
func playFlood(args []string) error {
	done := bpftest.RoleMayEnd()
	request, keep := attachRequest(nil), false
	if args[1] == "status" {
		request, keep = encodePlain(typeStatus), true
	}
	for range 8 {
		go func() {
			b := make([]byte, answerBytes+chunkBytes)
			for {
				c, err := net.Dial("unixpacket", args[0])
				if err != nil {
					continue
				}
				for asked := false; err == nil && (keep || !asked); asked = true {
					if _, err = c.Write(request); err == nil && keep {
						_, err = c.Read(b)
					}
				}
				c.Close()
			}
		}()
	}
	<-done
	return nil
}

// A server that is closed does not wait for those that it lets wait.
func TestPacedClientsDoNotHoldTheServer(t *testing.T) {
	bpftest.RequireUsers(t)
	s := open(t, settings{options: Options{HandshakeTimeout: time.Hour}})
	s.indebt(bpftest.Nobody, time.Hour/2)
	bpftest.StartRole(t, bpftest.Nobody, nil, "dialler", s.path)
	until(t, "somebody to wait", func() bool { return s.connections() == 1 })
	s.stop()
	select {
	case err := <-s.done:
		s.done <- err // for the cleanup
	case <-time.After(patience):
		t.Fatal("it waits")
	}
}

// indebt makes a uid wait for its next token.
func (s *stand) indebt(uid uint32, pause time.Duration) {
	m := s.server.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(uid, time.Now()).full = time.Now().Add(burst*price + pause)
}

// Who would have to wait longer than the sidecar waits for a client is told.
func TestPatienceEnds(t *testing.T) {
	bpftest.RequireUsers(t)
	s := open(t, settings{options: Options{HandshakeTimeout: 500 * time.Millisecond}})
	s.indebt(bpftest.Nobody, time.Hour)
	p := bpftest.StartRole(t, bpftest.Nobody, nil, "dialler", s.path)
	if got := p.Expect(t, ""); !strings.Contains(got, "uid 65534 asks more than 200 times a second; ask less often") {
		t.Errorf("got %q", got)
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

// A client that talks on its lease is told a few times, and then hung up on.
func TestLeaseThatTalksIsHungUp(t *testing.T) {
	s := open(t, settings{})
	conn := s.knock(t)
	for range 1 + leasePackets + 1 {
		if _, err := conn.Write(attachRequest(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := hear(t, conn); err != nil || a.status != 0 {
		t.Fatalf("attach: status %v, error %v", a.status, err)
	}
	for i := range leasePackets {
		if a, err := hear(t, conn); err != nil || a.status != syscall.EISCONN {
			t.Errorf("packet %d: status %v, error %v", i, a.status, err)
		}
	}
	if _, err := hear(t, conn); !errors.Is(err, io.EOF) {
		t.Errorf("packet %d: error %v, expected a hang-up", leasePackets, err)
	}
	s.until(t, "detach", func(leases, ended int) bool { return leases == 0 && ended == 1 })
}

// A server that cannot accept any more ends, says why, and takes every lease back.
func TestServeSaysWhatFailed(t *testing.T) {
	s := open(t, settings{})
	a := s.attach(t, shm.StartHead)
	s.server.socket.until(time.Unix(1, 0))
	if err := <-s.done; !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "accept on ") {
		t.Errorf("serve: %v", err)
	}
	s.done <- nil // for the cleanup
	until(t, "the hang-up", func() bool {
		_, err := a.Wait(t.Context(), a.Ring.Head())
		return errors.Is(err, ErrHangup)
	})
}
