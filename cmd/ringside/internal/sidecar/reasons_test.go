// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

// TestWhyASourceIsNotRead: each cause has its code, and a remedy apart from the
// message.
func TestWhyASourceIsNotRead(t *testing.T) {
	for _, tt := range []struct {
		err    error
		code   status.Code
		remedy string
		hope   bool
	}{
		{&reader.PinError{Path: "/p", Cause: reader.ErrNotPinned, Remedy: "nearest: /q"}, status.SourceMissing, "nearest: /q", true},
		{&reader.PinError{Path: "/p", Cause: reader.ErrPermission, Remedy: "chmod"}, status.SourceDenied, "chmod", false},
		{&reader.PinError{Path: "/p", Cause: fmt.Errorf("%w: %w", reader.ErrRefused, reader.ErrPermission)}, status.SourceDenied, remedies[status.SourceDenied], false},
		{&reader.PinError{Path: "/p", Cause: reader.ErrNotMap}, status.SourceNotMap, remedies[status.SourceNotMap], false},
		{&reader.PinError{Path: "/p", Cause: reader.ErrNotBPFFS, Remedy: "mount -t bpf"}, status.SourceUnreadable, "mount -t bpf", false},
		{fmt.Errorf("/p: %w", reader.ErrUnsupported), status.SourceUnsupported, remedies[status.SourceUnsupported], false},
		{fmt.Errorf("/p: %w", shm.ErrTooLarge), status.SourceTooLarge, remedies[status.SourceTooLarge], false},
		{errors.New("too many open files"), status.SourceUnreadable, remedies[status.SourceUnreadable], true},
	} {
		why := reasonOf("flows", tt.err)
		if why.Code != tt.code || why.Remedy != tt.remedy || why.Remedy == "" || !strings.HasPrefix(why.Message, "source flows: ") {
			t.Errorf("%v: %+v", tt.err, why)
		}
		if strings.Contains(why.Message, why.Remedy) {
			t.Errorf("said twice: %+v", why)
		}
		if hopeless(tt.err) == tt.hope {
			t.Errorf("%v: hopeless %v", tt.err, !tt.hope)
		}
	}
}

func TestWhatIsWrongWithASourceThatIsRead(t *testing.T) {
	const every = 100 * time.Millisecond
	stretched := func(s *reader.TaskStats) { s.LateP99, s.Effective = 2*every, 3*every }
	x := &source{name: "flows", pin: "/p/flows"}
	well := func() *reader.TaskStats {
		return &reader.TaskStats{Scans: 1000, Every: every, Effective: every, Last: reader.ScanStats{Bytes: 1 << 20}, LateP99: every / 2}
	}
	for _, tt := range []struct {
		name   string
		change func(*reader.TaskStats)
		want   status.Code // empty: nothing
	}{
		{"well", func(*reader.TaskStats) {}, ""},
		{"failing", func(s *reader.TaskStats) { s.Failing, s.LastError = true, errors.New("no luck") }, status.SourceFailing},
		{"recovered", func(s *reader.TaskStats) { s.LastError = errors.New("no luck") }, ""},
		{"unpinned", func(s *reader.TaskStats) { s.Info.PinState = reader.Unpinned }, status.SourceUnpinned},
		{"late", func(s *reader.TaskStats) { s.LateP99 = 2 * every }, status.SourceLate},
		{"late, but stretched anyway", stretched, ""},
		{"late at the start", func(s *reader.TaskStats) { s.LateP99, s.Scans = 2*every, 5 }, ""},
		{"small ring", func(s *reader.TaskStats) { s.Last.Bytes = 3 << 20 }, status.RingSmall},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stats := well()
			tt.change(stats)
			list := x.reasons(stats, 4<<20)
			if tt.want == "" && len(list) != 0 || tt.want != "" && (len(list) != 1 || list[0].Code != tt.want || list[0].Remedy == "") {
				t.Fatalf("got %+v, want %q", list, tt.want)
			}
		})
	}
}

func TestWhatIsWrongWithTheProcess(t *testing.T) {
	s := &Sidecar{}
	if list := s.processReasons(&status.Sidecar{HeartbeatAgeNS: 2e8}, reader.PoolStats{Active: true, Stretch: 1.01}); len(list) != 0 {
		t.Fatal(list)
	}
	list := s.processReasons(&status.Sidecar{HeartbeatAgeNS: 3e9}, reader.PoolStats{Active: true, Stretch: 2.7, Demand: 0.54, Duty: 0.2})
	if len(list) != 2 || list[0].Code != status.DutyExceeded || list[1].Code != status.HeartbeatLate {
		t.Fatal(list)
	}
	if want := "reading as often as asked would take 54% of a CPU, 20% are allowed: who asks for most is read 2.7 times less often"; list[0].Message != want {
		t.Fatalf("got %s", list[0].Message)
	}
}

func TestDutyIsMeasuredOverTheLastTenSeconds(t *testing.T) {
	var m dutyMeter
	at := time.Unix(0, 0)
	if m.add(at, 0); m.share() != 0 {
		t.Fatal(m.share())
	}
	busy := time.Duration(0)
	for i := range 100 {
		at = at.Add(time.Second)
		if i >= 50 {
			busy += 300 * time.Millisecond
		}
		m.add(at, busy)
	}
	if got := m.share(); got != 0.3 {
		t.Fatalf("%v, want 0.3", got)
	}
}

func TestMissesAreCountedSinceTheStart(t *testing.T) {
	m := missCounter{base: map[ebpf.ProgramID]uint64{1: 100, 2: 5}}
	m.add(map[ebpf.ProgramID]uint64{1: 107, 2: 5, 3: 2}) // 3 is new
	m.add(map[ebpf.ProgramID]uint64{1: 107, 3: 4})       // 2 has ended
	if m.total != 11 {
		t.Fatalf("%d, want 11", m.total)
	}
}

func TestNamesOfPins(t *testing.T) {
	want := &config.Map{}
	sources := func(pins ...string) (list []*source) {
		for _, p := range pins {
			list = append(list, &source{want: want, pin: p})
		}
		return list
	}
	// None of these paths is in a bpffs: its root is then the pin's directory's own.
	fresh := sources("/p/a/stats", "/p/b/flows", "/p/c/flows2")
	nameAll(fresh, nil)
	if fresh[0].name != "stats" || fresh[1].name != "flows" || fresh[2].name != "flows2" {
		t.Fatalf("%s %s %s", fresh[0].name, fresh[1].name, fresh[2].name)
	}
	later := sources("/p/d/stats")
	nameAll(later, fresh)
	if later[0].name != "/p/d/stats" || fresh[0].name != "stats" {
		t.Fatalf("%s beside %s", later[0].name, fresh[0].name)
	}
	named := []*source{{want: &config.Map{Name: "mine"}, pin: "/p/x"}}
	if nameAll(named, fresh); named[0].name != "mine" {
		t.Fatal(named[0].name)
	}
}
