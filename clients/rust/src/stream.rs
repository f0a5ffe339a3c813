// SPDX-License-Identifier: Apache-2.0

//! The loop of a reader: what comes next, and what to do when nothing does.

use std::thread;
use std::time::{Duration, Instant};

use crate::batch::{Batch, Kind, Loss, OwnedBatch, View};
use crate::cursor::{Look, Missed};
use crate::error::{Error, ErrorKind};
use crate::events::EventTable;
use crate::frame::Header;
use crate::layout::{control, FRAME_HEADER};
use crate::ring::corrupt;
use crate::subscription::{Subscription, TICK};
use crate::Place;

/// What one bounded step gave.
pub(crate) enum Step {
    /// A batch without rows.
    Note(Kind, Loss),
    /// A frame to deliver: a copy in the buffer, or in place.
    Frame(Kind, Header),
    /// Nothing to deliver, but something was done: go on.
    Again,
    /// Nothing to read. Wait for at most so long, then look again.
    Idle(Duration),
    /// A file's end.
    End,
}

impl Subscription {
    /// The next batch, as soon as there is one. It is a copy in a buffer that the next call reuses: whatever the
    /// sidecar does meanwhile, its bytes are whole and stay. None: a ring in a file was read to its end; that of
    /// a sidecar has none.
    ///
    /// While there is something to read, this makes no system call and allocates nothing. Loss, restart and the
    /// like are batches ([`Kind`]); an error is final.
    #[allow(clippy::should_implement_trait)] // a batch borrows what an iterator's item may not
    pub fn next(&mut self) -> Result<Option<Batch<'_>>, Error> {
        loop {
            match self.step()? {
                Step::Note(kind, lost) => return Ok(Some(Batch::remark(kind, lost))),
                Step::Frame(kind, h) => return Ok(Some(self.copied(kind, h))),
                Step::Again => {}
                Step::Idle(limit) => self.idle(limit),
                Step::End => return Ok(None),
            }
        }
    }

    /// The next batch if there is one now: None says to [`wait`](Subscription::wait) or to poll. It does not
    /// wait for the ring, but while nobody is there it tries to attach, which takes as long as the sidecar takes
    /// to answer, five seconds at most.
    pub fn try_next(&mut self) -> Result<Option<Batch<'_>>, Error> {
        loop {
            match self.step()? {
                Step::Note(kind, lost) => return Ok(Some(Batch::remark(kind, lost))),
                Step::Frame(kind, h) => return Ok(Some(self.copied(kind, h))),
                Step::Again => {}
                Step::Idle(_) | Step::End => return Ok(None),
            }
        }
    }

    /// Batches that own their bytes, to collect or to send to other threads. It allocates for each; a loop over
    /// [`next`](Subscription::next) does not.
    pub fn batches(&mut self) -> impl Iterator<Item = Result<OwnedBatch, Error>> + '_ {
        std::iter::from_fn(move || match self.next() {
            Ok(Some(batch)) => Some(Ok(batch.to_owned())),
            Ok(None) => None,
            Err(e) => Some(Err(e)),
        })
    }

    /// Calls `read` with the next batch in place, without copying, and gives its result if the bytes were not
    /// overwritten meanwhile. If they were, it calls `read` again, with what is next: so compute from the batch,
    /// expect nonsense in it, such as an index beyond an array's end, and do nothing that cannot be taken back.
    /// None: the end of a file.
    ///
    /// ```no_run
    /// # ringside::row! { struct Key { id: u32 } struct Stats { packets: u64, bytes: u64 } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut sub = ringside::Subscription::attach(Default::default())?;
    /// let mut total = 0;
    /// while let Some(sum) = sub.view(|view| view.rows::<Key, Stats>().map(|rows| rows.map(|(_, s)| s.bytes).fold(0, u64::wrapping_add)))? {
    ///     total += sum?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn view<T>(&mut self, mut read: impl FnMut(&View<'_>) -> T) -> Result<Option<T>, Error> {
        loop {
            match self.look()? {
                Step::Note(kind, lost) => return Ok(Some(read(&View::remark(kind, lost)))),
                Step::Frame(kind, h) => {
                    if let Some(result) = self.lend(kind, h, &mut read)? {
                        return Ok(Some(result));
                    }
                }
                Step::Again => {}
                Step::Idle(limit) => self.idle(limit),
                Step::End => return Ok(None),
            }
        }
    }

    /// Does one thing that is bounded, and says what is to be delivered. Frames are copied.
    fn step(&mut self) -> Result<Step, Error> {
        match self.look()? {
            Step::Frame(kind, h) if self.news.held.is_none() => self.fetch(kind, h),
            Step::Frame(kind, h) => {
                self.news.held = None;
                self.account(h.rows);
                Ok(Step::Frame(kind, h))
            }
            other => Ok(other),
        }
    }

    /// The same, but a frame is only looked at, unless one was copied before.
    fn look(&mut self) -> Result<Step, Error> {
        if let Some((kind, lost)) = self.tell()? {
            return Ok(Step::Note(kind, lost));
        }
        if let Some(h) = self.news.held {
            return Ok(Kind::of(h.kind).map_or(Step::Again, |kind| Step::Frame(kind, h)));
        }
        let ring = match &self.ring {
            Some(ring) => ring,
            None => return self.nobody(),
        };
        let page = self.line.as_ref().map(|l| &l.page);
        match self.cursor.look(ring, page) {
            Look::Ready(h) => {
                let wanted = self.options.source.is_empty()
                    || self.cursor.known(h.source).map_or(false, |s| s.name == self.options.source);
                match Kind::of(h.kind).filter(|_| wanted) {
                    Some(kind) => Ok(Step::Frame(kind, h)),
                    None => {
                        self.cursor.advance(page);
                        self.position = self.cursor.position; // so that it is no lag either
                        Ok(Step::Again)
                    }
                }
            }
            Look::Ended if self.file => Ok(Step::End),
            Look::Empty if self.file => Ok(Step::End),
            Look::Lapped if self.file => {
                Err(self
                    .finally(Error::new(ErrorKind::Lapped, "no frame could be caught, in a ring that does not move")))
            }
            Look::Lapped => Ok(Step::Idle(Duration::ZERO)),
            Look::Ended => {
                self.leave(true);
                Ok(Step::Again)
            }
            Look::Empty if self.line.as_ref().map_or(true, |l| l.hung_up) => {
                self.leave(false);
                Ok(Step::Again)
            }
            Look::Empty => Ok(Step::Idle(TICK)),
            Look::Corrupt(e) => Err(self.finally(e)),
        }
    }

    /// Copies the payload of the frame that was looked at, and leaves it.
    fn fetch(&mut self, kind: Kind, h: Header) -> Result<Step, Error> {
        let ring = match &self.ring {
            Some(ring) => ring,
            None => return Ok(Step::Again),
        };
        let len = h.length as usize - FRAME_HEADER;
        ring.payload(self.cursor.position.offset, h.length).copy_to_words(&mut self.buf);
        if !self.cursor.valid(ring) {
            return Ok(Step::Again);
        }
        let copy = Place::of_words(&self.buf, len);
        if kind == Kind::Events && !EventTable::new(copy, h.keys_off as usize - FRAME_HEADER, h.rows as usize).whole() {
            return Err(self.finally(corrupt(format!("an event of frame {} lies outside it", h.seq))));
        }
        self.cursor.advance(self.line.as_ref().map(|l| &l.page));
        self.news.held = Some(h); // what was missed before it is told first
        self.check_pulse();
        Ok(Step::Again)
    }

    /// The batch of the frame in the buffer.
    fn copied(&self, kind: Kind, h: Header) -> Batch<'_> {
        Batch::frame(kind, self.cursor.known(h.source), h, &self.buf, self.realtime_offset_ns())
    }

    /// Calls `read` with a frame, or with the loss before it. None: what it saw was overwritten.
    #[inline]
    fn lend<T>(&mut self, kind: Kind, h: Header, read: &mut impl FnMut(&View<'_>) -> T) -> Result<Option<T>, Error> {
        if self.news.held.take().is_some() {
            // Copied by a call of `next` that told something else first.
            self.account(h.rows);
            return Ok(Some(read(&self.copied(kind, h))));
        }
        if let Some(lost) = self.tell_loss(self.cursor.missed_by_now()) {
            return Ok(Some(read(&View::remark(Kind::Lost, lost))));
        }
        let ring = match &self.ring {
            Some(ring) => ring,
            None => return Ok(None),
        };
        let realtime = ring.relaxed(control::REALTIME_OFFSET_NS) as i64;
        let view = View::frame(
            kind,
            self.cursor.known(h.source),
            h,
            ring.payload(self.cursor.position.offset, h.length),
            realtime,
        );
        let whole = kind != Kind::Events || view.event_table().whole();
        let result = read(&view);
        if !self.cursor.valid(ring) {
            return Ok(None);
        }
        if !whole {
            return Err(self.finally(corrupt(format!("an event of frame {} lies outside it", h.seq))));
        }
        self.cursor.advance(self.line.as_ref().map(|l| &l.page));
        self.account(h.rows);
        self.check_pulse();
        Ok(Some(result))
    }

    /// What there is to say before the next frame.
    #[inline]
    fn tell(&mut self) -> Result<Option<(Kind, Loss)>, Error> {
        if let Some(e) = &self.news.error {
            return Err(e.clone());
        }
        if self.news.gone {
            self.news.gone = false;
            return Ok(Some((Kind::Gone, Loss::default())));
        }
        if self.news.hangs {
            self.news.hangs = false;
            return Ok(Some((Kind::Hangs, Loss::default())));
        }
        if let Some(lost) = self.news.restart.take() {
            return Ok(Some((Kind::Restart, lost)));
        }
        if !self.news.evicted && self.page().map_or(false, |p| p.evicted()) {
            self.news.evicted = true;
            return Ok(Some((Kind::Evicted, Loss::default())));
        }
        Ok(self.tell_loss(self.cursor.missed).map(|lost| (Kind::Lost, lost)))
    }

    /// The part of a cursor's loss that was not told yet. What was told may be ahead of the cursor, which counts
    /// the loss before a frame only when it leaves that frame.
    #[inline]
    fn tell_loss(&mut self, now: Missed) -> Option<Loss> {
        let told = self.told;
        if now.frames <= told.frames && now.laps <= told.laps {
            return None;
        }
        let lost = Loss {
            frames: now.frames.saturating_sub(told.frames),
            rows: now.rows.saturating_sub(told.rows),
            exact: true,
        };
        self.stats.laps = self.stats.laps.wrapping_add(now.laps.saturating_sub(told.laps));
        self.stats.lost_frames = self.stats.lost_frames.wrapping_add(lost.frames);
        self.stats.lost_rows = self.stats.lost_rows.wrapping_add(lost.rows);
        self.told = now;
        // Only what was skipped and turned out to be no frame at all: pads.
        (lost.frames > 0).then_some(lost)
    }

    /// Makes an error the last thing that is said.
    fn finally(&mut self, e: Error) -> Error {
        self.news.error = Some(e.clone());
        e
    }

    /// What to do while there is no ring.
    fn nobody(&mut self) -> Result<Step, Error> {
        let now = Instant::now();
        match self.away.due {
            Some(due) if due > now => Ok(Step::Idle(due - now)),
            _ => match self.come_back() {
                Ok(()) => Ok(Step::Again),
                Err(e) => Err(self.finally(e)),
            },
        }
    }

    /// Feels the pulse, and remembers what has to be told.
    fn feel(&mut self) -> bool {
        let beat = match (&self.ring, self.file) {
            (Some(ring), false) => ring.relaxed(control::HEARTBEAT_NS),
            _ => return false,
        };
        let felt = self.pulse.feel(beat);
        self.set_hanging(felt.stopped);
        felt.late
    }

    /// Asks the socket when the heartbeat stands still, although there are frames to read.
    #[inline]
    fn check_pulse(&mut self) {
        if self.line.as_ref().map_or(true, |l| l.hung_up) || !self.feel() {
            return;
        }
        self.ask_socket();
    }

    fn ask_socket(&mut self) {
        if let (Some(ring), Some(line)) = (&self.ring, &mut self.line) {
            // The state is looked at behind the socket: it is stored before anybody hangs up because of it.
            if !line.hung_up && line.socket.hung_up() && ring.acquire(control::STATE) != control::SUPERSEDED {
                // What was committed before is in the ring and comes first.
                line.hung_up = true;
                self.news.gone = true;
                self.set_hanging(false);
            }
        }
    }

    /// Waits until there may be something to read, and for at most `limit`; says whether there may be. While
    /// nobody is there, that is when the next attempt to attach is due.
    pub fn wait(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit.min(Duration::from_secs(1 << 30));
        loop {
            if self.pending() {
                return true;
            }
            let rest = end.saturating_duration_since(Instant::now());
            if rest == Duration::ZERO || self.file {
                return false;
            }
            let due = self.away.due.filter(|_| self.ring.is_none());
            self.idle(due.map_or(rest, |due| rest.min(due.saturating_duration_since(Instant::now()))));
        }
    }

    /// Whether the next step would not be idle, as far as can be told without taking it.
    fn pending(&self) -> bool {
        let n = &self.news;
        if n.error.is_some() || n.gone || n.hangs || n.restart.is_some() || n.held.is_some() {
            return true;
        }
        match &self.ring {
            Some(ring) => {
                ring.acquire(control::HEAD) != self.cursor.position.offset
                    || (!self.file && ring.acquire(control::STATE) != control::LIVE)
                    || self.line.as_ref().map_or(false, |l| l.hung_up)
                    || (!n.evicted && self.page().map_or(false, |p| p.evicted()))
            }
            None => self.away.due.map_or(true, |due| due <= Instant::now()),
        }
    }

    /// Sleeps until the bell rings, the sidecar hangs up, or the time has passed.
    fn idle(&mut self, limit: Duration) {
        if self.line.is_none() {
            thread::sleep(limit);
            return;
        }
        if self.options.busy || limit == Duration::ZERO {
            if self.feel() {
                self.ask_socket();
            }
            std::hint::spin_loop();
            return;
        }
        let told = self.raise() && self.poll.wait(limit.min(TICK));
        if let Some(page) = self.page() {
            page.wake();
        }
        if self.feel() || told {
            self.ask_socket();
        }
    }

    /// Prepares to sleep on [`as_raw_fd`](std::os::unix::io::AsRawFd), in a program that has a loop of its own
    /// over poll or epoll: Some is for how long that may wait for the descriptor to become readable; None: there
    /// may be something to read already. Call [`try_next`](Subscription::try_next) until it says None, then this,
    /// then poll, again and again.
    ///
    /// ```no_run
    /// # use std::os::unix::io::AsRawFd;
    /// # fn poll_for_reading(_: i32, _: std::time::Duration) {}
    /// # fn main() -> Result<(), ringside::Error> {
    /// # let mut sub = ringside::Subscription::attach(Default::default())?;
    /// loop {
    ///     while let Some(batch) = sub.try_next()? {
    ///         println!("{} rows", batch.rows);
    ///     }
    ///     if let Some(limit) = sub.arm() {
    ///         poll_for_reading(sub.as_raw_fd(), limit);
    ///     }
    /// }
    /// # }
    /// ```
    pub fn arm(&mut self) -> Option<Duration> {
        self.ask_socket();
        self.feel();
        if self.pending() {
            return None;
        }
        match (self.away.due, &self.line) {
            (Some(due), None) => Some(due.saturating_duration_since(Instant::now())),
            _ => {
                self.poll.wait(Duration::ZERO); // an edge that was left would end the caller's poll at once
                self.raise().then_some(TICK)
            }
        }
    }

    /// Raises the sleep flag. False: something moved meanwhile.
    ///
    /// The order is what makes it sound: first the flag is raised, then the ring is looked at once more, then one
    /// sleeps. Who commits after that look sees the flag and rings, which is a new edge; what was committed before
    /// it is seen by the look. Nothing may take edges of the bell in between. One of an old ring ends one sleep
    /// too early, which is cheaper than a system call before every sleep.
    fn raise(&self) -> bool {
        match (&self.ring, self.page()) {
            (Some(ring), Some(page)) => {
                page.sleep();
                ring.acquire(control::HEAD) == self.cursor.position.offset
                    && ring.acquire(control::STATE) == control::LIVE
            }
            _ => false,
        }
    }
}
