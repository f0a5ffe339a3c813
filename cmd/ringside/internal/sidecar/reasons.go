// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/reader"
)

const (
	// heartbeatLate is when consumers begin to think that the sidecar hangs.
	heartbeatLate = time.Second
	// enoughScans is from when on a percentile says something.
	enoughScans = 100
	// tolerance keeps a measured cost that hovers about its limit from being
	// reported every other second.
	tolerance = 1.05
)

// remedies for problems whose error brings none of its own.
var remedies = map[status.Code]string{
	status.SourceMissing:     "pin the map there, or correct the path; 'ringside maps' lists what is pinned",
	status.SourceDenied:      "let the sidecar's user read the pin, or run it as root",
	status.SourceNotMap:      "name the pin of a map; 'ringside maps' lists them",
	status.SourceUnsupported: "do what the message says, or take the map out; 'ringside maps' tells what can be read",
	status.SourceTooLarge:    "make the ring larger (--ring-bytes, rings[].bytes)",
	status.SourceUnreadable:  "see the message; it is tried again by itself",
}

// reasonOf words why a source is not read at all.
func reasonOf(name string, err error) status.Reason {
	why := status.Reason{Code: codeOf(err), Message: err.Error()}
	var pin *reader.PinError
	if errors.As(err, &pin) {
		plain := *pin
		plain.Remedy = ""
		why.Message, why.Remedy = plain.Error(), pin.Remedy
	}
	why.Message = fmt.Sprintf("source %s: %s", name, why.Message)
	why.Remedy = cmp.Or(why.Remedy, remedies[why.Code])
	return why
}

// reasons are what is wrong with a source that is read.
func (x *source) reasons(t *reader.TaskStats, ringBytes uint64) (list []status.Reason) {
	add := func(code status.Code, remedy, format string, args ...any) {
		list = append(list, status.Reason{Code: code, Remedy: remedy, Message: fmt.Sprintf("source %s: ", x.name) + fmt.Sprintf(format, args...)})
	}
	if t.Failing && t.LastError != nil {
		add(status.SourceFailing, "see the message; it is tried again at every interval", "the last scan failed: %v", t.LastError)
	}
	if t.Info.PinState == reader.Unpinned {
		add(status.SourceUnpinned, "pin the map again, or take it out of the configuration",
			"%s is no longer there; the map that was is still read", x.pin)
	}
	stretched := float64(t.Effective) > tolerance*float64(t.Every)
	if late := t.LateP99; !stretched && t.Scans >= enoughScans && late > max(t.Every, heartbeatLate/10) {
		add(status.SourceLate, "raise reader.workers_max, or read the slowest maps less often",
			"one scan in a hundred begins %v late, it is read every %v", late.Round(time.Millisecond), t.Every)
	}
	if uint64(t.Last.Bytes) > ringBytes/2 {
		add(status.RingSmall, fmt.Sprintf("set --ring-bytes (rings[].bytes) to %s", size64(powerOfTwo(uint64(t.Last.Bytes)*keptScans))),
			"a scan takes %s of a ring of %s: who attaches may never find a whole one", size64(t.Last.Bytes), size64(ringBytes))
	}
	return list
}

// processReasons are what is wrong with the sidecar as a whole.
func (s *Sidecar) processReasons(p *status.Sidecar, pool reader.PoolStats) (list []status.Reason) {
	if pool.Active && pool.Stretch > tolerance {
		list = append(list, status.Reason{
			Code: status.DutyExceeded, Remedy: "raise --duty (reader.duty), or read less often (maps[].every)",
			Message: fmt.Sprintf("reading as often as asked would take %.0f%% of a CPU, %.0f%% are allowed: who asks for most is read %.1f times less often",
				100*pool.Demand, 100*pool.Duty, pool.Stretch),
		})
	}
	if pool.Roaming != nil {
		list = append(list, status.Reason{
			Code: status.CPUsRefused, Remedy: "name allowed CPUs (reader.cpus), or widen the sidecar's cpuset, and start it again",
			Message: fmt.Sprintf("workers do not stay on the CPUs they should: %v", pool.Roaming),
		})
	}
	if age := time.Duration(p.HeartbeatAgeNS); age > heartbeatLate {
		list = append(list, status.Reason{
			Code: status.HeartbeatLate, Remedy: "give the sidecar more CPU; look for a process that starves it",
			Message: fmt.Sprintf("the last heartbeat was %v ago, it is due every %v", age.Round(time.Millisecond), heartbeat),
		})
	}
	return list
}

// memberReasons are what consumers do to a lossless ring. They were let in for it,
// so that they can make it look ill.
func memberReasons(line *status.Ring) (list []status.Reason) {
	for _, c := range line.Consumers {
		who := fmt.Sprintf("ring %s: consumer %q (pid %d, uid %d)", line.Name, c.Name, c.PID, c.UID)
		switch {
		case c.State == status.Holding && c.HoldsNS > line.StallTimeoutNS/2:
			list = append(list, status.Reason{
				Code: status.RingHeld, Remedy: "make it read faster, or the ring larger (rings[].bytes)",
				Message: fmt.Sprintf("%s has held it up for %v, and is evicted after %v", who, time.Duration(c.HoldsNS).Round(time.Millisecond), time.Duration(line.StallTimeoutNS)),
			})
		case c.State == status.Evicted:
			list = append(list, status.Reason{
				Code: status.ConsumerEvicted, Remedy: "see why it stood still; start it again once its user is not barred any more",
				Message: fmt.Sprintf("%s did not keep up for %v and is not waited for any more; it has lost %d rows", who, time.Duration(line.StallTimeoutNS), c.LostRows),
			})
		}
	}
	return list
}

// patternReasons are what keeps a ring's patterns from being read.
func (s *Sidecar) patternReasons(r *ring) (list []status.Reason) {
	for _, p := range s.patterns {
		if p.ring != r {
			continue
		}
		if p.problem != nil {
			list = append(list, reasonOf(p.want.Path, p.problem))
		}
		for _, e := range p.passed {
			list = append(list, reasonOf(p.want.Path, e.Err))
		}
	}
	return list
}
