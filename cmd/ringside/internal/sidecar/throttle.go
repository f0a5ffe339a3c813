// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// quiet is how long a message about one thing is not repeated at first. It
	// doubles while the message keeps coming, up to mostQuiet: what has been
	// wrong for an hour is no news.
	quiet     = 10 * time.Second
	mostQuiet = 5 * time.Minute
	// maxSubjects bounds what is remembered: some subjects are other people's
	// to choose.
	maxSubjects = 4096
)

// logger writes what happens to a source or a user, the same message about the
// same subject at most once in a while. A map that fails a thousand times a
// second must not fill a disk, and neither must a client that is refused.
type logger struct {
	zerolog.Logger
	now func() time.Time

	mu   sync.Mutex
	said map[utterance]*echo
}

type utterance struct{ subject, message string }

type echo struct {
	last       time.Time
	quiet      time.Duration
	suppressed int
}

func newLogger(l zerolog.Logger) *logger {
	return &logger{Logger: l, now: time.Now, said: map[utterance]*echo{}}
}

// about logs a message about a subject, or only counts it. fields adds what is
// particular this time.
func (l *logger) about(level zerolog.Level, subject, message string, fields func(*zerolog.Event)) {
	suppressed, ok := l.admit(utterance{subject, message})
	if !ok {
		return
	}
	e := l.WithLevel(level)
	if e == nil || level < l.GetLevel() {
		return
	}
	e.Str("subject", subject)
	if fields != nil {
		fields(e)
	}
	if suppressed > 0 {
		e.Int("suppressed", suppressed)
	}
	e.Msg(message)
}

// admit tells whether to speak, and how often it was kept quiet since the last
// time.
func (l *logger) admit(u utterance) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	e := l.said[u]
	if e == nil {
		l.makeRoom(now)
		l.said[u] = &echo{last: now, quiet: quiet}
		return 0, true
	}
	if now.Sub(e.last) < e.quiet {
		e.suppressed++
		return 0, false
	}
	suppressed = e.suppressed
	e.last, e.suppressed = now, 0
	if e.quiet = min(2*e.quiet, mostQuiet); suppressed == 0 {
		e.quiet = quiet // it had stopped
	}
	return suppressed, true
}

// forget lets a message about a subject be said at once again: it has become
// untrue in between.
func (l *logger) forget(subject, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.said, utterance{subject, message})
}

// makeRoom forgets what has been quiet for long; if that is not enough,
// everything: better said twice than never again.
func (l *logger) makeRoom(now time.Time) {
	if len(l.said) < maxSubjects {
		return
	}
	for u, e := range l.said {
		if now.Sub(e.last) >= e.quiet && e.suppressed == 0 {
			delete(l.said, u)
		}
	}
	if len(l.said) >= maxSubjects {
		clear(l.said)
	}
}
