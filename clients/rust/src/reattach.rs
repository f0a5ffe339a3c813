// SPDX-License-Identifier: Apache-2.0

//! Leaving a ring, and coming back (protocol 10).

use std::time::{Duration, Instant};

use crate::attach::{self, Grant};
use crate::batch::Loss;
use crate::cursor::Position;
use crate::error::{Error, ErrorKind};
use crate::layout::control;
use crate::options::Start;
use crate::subscription::{Line, Subscription};
use crate::sys::poll::Member;

pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(1);
pub(crate) const MOST_PAUSE: Duration = Duration::from_millis(50);
/// How long a sidecar is believed that says that a ring is just being replaced.
pub(crate) const REPLACE_GRACE: Duration = Duration::from_secs(5);
/// How long a sidecar that came back may refuse before that is its last word: while it starts, directories and
/// modes change.
const REFUSAL_GRACE: Duration = Duration::from_secs(1);

/// What is remembered of the last ring while there is none.
#[derive(Default)]
pub(crate) struct Away {
    epoch: u64,
    /// How far it was read, and whether that was all of it.
    position: Position,
    clean: bool,
    /// The application was told that nobody is there.
    told: bool,
    pause: Duration,
    /// When to try again; None: at once.
    pub due: Option<Instant>,
    /// Since when the sidecar refuses.
    refused: Option<Instant>,
    /// Since when it says that the ring is just being replaced.
    replaced: Option<Instant>,
}

impl Subscription {
    /// Gives back a ring that was read to its end. clean: the sidecar had said that nothing would follow; after a
    /// hang-up there may have been something that it had read and not yet published.
    pub(crate) fn leave(&mut self, clean: bool) {
        let hung_up = self.line.as_ref().map_or(false, |l| l.hung_up);
        if let Some(ring) = self.ring.take() {
            self.away = Away {
                epoch: ring.geometry.epoch,
                position: self.cursor.position,
                clean,
                told: hung_up,
                pause: FIRST_PAUSE,
                ..Away::default()
            };
            if ring.acquire(control::STATE) == control::ENDED {
                self.tell_gone(); // a superseded ring has a successor, an ended one has not
            }
        }
        self.set_hanging(false);
        if let Some(line) = self.line.take() {
            self.poll.remove(&line.bell);
            self.poll.remove(line.socket.fd());
        }
    }

    /// Tries once to attach anew. It fails where further attempts are pointless.
    pub(crate) fn come_back(&mut self) -> Result<(), Error> {
        // A new ring is young, so its beginning is the least that can be lost; only who wants the newest gets that.
        let start = if self.options.start == Start::Head { Start::Head } else { Start::Oldest };
        let attempt = attach::attach(&self.options, start).and_then(|grant| self.resume_on(grant));
        let error = match attempt {
            Ok(()) => return Ok(()),
            Err(e) => e,
        };
        if self.hopeless(error.kind()) {
            return Err(error);
        }
        // Who refuses is not gone; nor is who is just being replaced, or hands over to another.
        let replaced = error.kind() == ErrorKind::TryAgain
            && self.away.replaced.get_or_insert_with(Instant::now).elapsed() < REPLACE_GRACE;
        if self.away.refused.is_none() && !replaced {
            self.tell_gone();
        }
        self.stats.away = Some(error);
        self.away.due = Some(Instant::now() + self.away.pause);
        self.away.pause = (self.away.pause * 2).min(MOST_PAUSE);
        Ok(())
    }

    fn resume_on(&mut self, grant: Grant) -> Result<(), Error> {
        let mut position = grant.position;
        let mut lost = Loss { exact: self.away.clean, ..Loss::default() };
        if grant.ring.geometry.epoch == self.away.epoch {
            // The lease was lost, not the ring: nothing is.
            if grant.ring.acquire(control::STATE) != control::LIVE {
                return Err(Error::new(ErrorKind::TryAgain, "the sidecar still lends the ring that had ended"));
            }
            position = self.away.position;
            lost.exact = true;
        } else {
            // A ring counts from its own beginning.
            lost.frames = position.seq;
            lost.rows = position.rows;
        }
        self.adopt(grant, position)?;
        self.news.restart = Some(lost);
        self.stats.restarts += 1;
        self.stats.lost_frames = self.stats.lost_frames.wrapping_add(lost.frames);
        self.stats.lost_rows = self.stats.lost_rows.wrapping_add(lost.rows);
        Ok(())
    }

    /// Makes a lease the one that is read.
    pub(crate) fn adopt(&mut self, grant: Grant, position: Position) -> Result<(), Error> {
        let line = Line { page: grant.page, bell: grant.bell, socket: grant.socket, hung_up: false };
        let added =
            self.poll.add(&line.bell, Member::Bell).and_then(|()| self.poll.add(line.socket.fd(), Member::Lease));
        added.map_err(|e| Error::io("epoll of a lease", e))?;
        self.begin(grant.ring, position, grant.source);
        self.line = Some(line);
        Ok(())
    }

    /// Tells the application once that nobody is there.
    pub(crate) fn tell_gone(&mut self) {
        self.news.gone |= !self.away.told;
        self.away.told = true;
    }

    /// Told once for every time that the sidecar stops.
    pub(crate) fn set_hanging(&mut self, hanging: bool) {
        if self.pulse.hanging == hanging {
            return;
        }
        self.pulse.hanging = hanging;
        self.news.hangs = hanging;
        let text = || format!("{}: the sidecar does not beat: it hangs or is stopped", self.options.socket.display());
        self.stats.away = if hanging { Some(Error::new(ErrorKind::NoReply, text())) } else { None };
    }

    /// Whether trying again is no use: this program is not wanted, and not just for a moment.
    fn hopeless(&mut self, kind: ErrorKind) -> bool {
        match kind {
            ErrorKind::Version | ErrorKind::Protocol => true,
            ErrorKind::Permission | ErrorKind::NotAllowed => {
                self.away.refused.get_or_insert_with(Instant::now).elapsed() >= REFUSAL_GRACE
            }
            _ => {
                self.away.refused = None;
                false
            }
        }
    }
}
