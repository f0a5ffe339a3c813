// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/shm"
)

func TestConnectionsAreCounted(t *testing.T) {
	s := open(t, settings{options: Options{MaxConns: 3}})
	for range 3 {
		s.attach(t, shm.StartHead)
	}
	_, err := s.dial(t).Attach(t.Context(), AttachRequest{Ring: "main"})
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "3 in all") {
		t.Errorf("the fourth: %v", err)
	}
	s.lease(t).Close()
	until(t, "room", func() bool { return s.connections() == 2 })
	s.attach(t, shm.StartHead)
}

// One user cannot take the places of all.
func TestConnectionsOfAUserAreCounted(t *testing.T) {
	bpftest.RequireUsers(t)
	s := open(t, settings{options: Options{MaxConns: 50, MaxPerUID: 4}})
	p := bpftest.StartRole(t, bpftest.Nobody, nil, "crowd", s.path)
	if got := p.Expect(t, "attached "); got != "4" {
		t.Errorf("%s leases of one user, expected 4", got)
	}
	for range 10 {
		s.attach(t, shm.StartHead) // root has more
	}
	if err := p.Finish(); err != nil {
		t.Error(err)
	}
}

func init() { roles["crowd"] = playCrowd }

func playCrowd(args []string) error {
	var kept []*Attachment
	for {
		a, err := dialAndAttach(args[0])
		if errors.Is(err, ErrBusy) {
			break
		}
		if err != nil {
			return err
		}
		kept = append(kept, a)
	}
	fmt.Println("attached", len(kept))
	<-bpftest.RoleMayEnd()
	for _, a := range kept {
		a.Close()
	}
	return nil
}

// A sidecar out of descriptors serves those it has, and the others later.
func TestOutOfDescriptors(t *testing.T) {
	path := directory(t) + "/s"
	p := bpftest.StartRole(t, os.Geteuid(), nil, "starved", path)
	p.Expect(t, "listening")
	conns := make([]net.Conn, 40)
	for i := range conns {
		c, err := net.Dial("unixpacket", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
	}
	for _, c := range conns[1:] {
		c.Close()
	}
	var a *Attachment
	until(t, "room for one more", func() bool {
		var err error
		if a, err = dialAndAttach(path); err != nil && !errors.Is(err, ErrTryAgain) {
			t.Fatal(err)
		}
		return err == nil
	})
	a.Close()
	if err := p.Finish(); err != nil {
		t.Error(err)
	}
}

func init() { roles["starved"] = playStarved }

// playStarved is a publisher that may open few descriptors.
func playStarved(args []string) error {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 20, Max: 20}); err != nil {
		return err
	}
	return playPublisher(args)
}
