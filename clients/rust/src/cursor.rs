// SPDX-License-Identifier: Apache-2.0

//! Reading a ring, frame by frame (protocol 5).

use std::sync::atomic::{fence, Ordering};
use std::sync::Arc;

use crate::error::Error;
use crate::frame::Header;
use crate::layout::{control, frame, ANY_SOURCE};
use crate::options::Start;
use crate::page::Page;
use crate::ring::{corrupt, Ring};
use crate::source::Source;

/// A place between two frames: all that a reader has to know to account for what follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes published before it.
    pub offset: u64,
    /// Frames.
    pub seq: u64,
    /// Rows.
    pub rows: u64,
}

/// What a cursor did not get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Missed {
    pub frames: u64,
    pub rows: u64,
    pub laps: u64,
}

impl Missed {
    /// Numbers that a ring makes up may be any: they wrap.
    fn plus(self, more: Missed) -> Missed {
        Missed {
            frames: self.frames.wrapping_add(more.frames),
            rows: self.rows.wrapping_add(more.rows),
            laps: self.laps.wrapping_add(more.laps),
        }
    }
}

/// What a look at the ring found.
pub(crate) enum Look {
    /// A frame.
    Ready(Header),
    /// Nothing new yet.
    Empty,
    /// Everything was read, and nothing will follow.
    Ended,
    /// No frame could be caught in 64 tries. Try again.
    Lapped,
    /// Final.
    Corrupt(Error),
}

const TRIES: usize = 64;

pub(crate) struct Cursor {
    pub position: Position,
    pub missed: Missed,
    /// By number, as far as frames have named them.
    sources: Vec<Option<Arc<Source>>>,
    resumed: bool,
    start: Start,
    source: u16,
    /// The frame that was looked at last, and what is missing before it.
    current: Header,
    pending: Missed,
}

impl Cursor {
    pub fn new(mut position: Position, start: Start, source: u16) -> Cursor {
        position.offset &= !63;
        Cursor {
            position,
            missed: Missed::default(),
            sources: Vec::new(),
            resumed: false,
            start,
            source,
            current: Header::default(),
            pending: Missed::default(),
        }
    }

    /// Finds the next frame. Its payload may be overwritten at any time: what is read from it counts only if
    /// `valid` says so afterwards.
    #[inline]
    pub fn look(&mut self, ring: &Ring, page: Option<&Page>) -> Look {
        for _ in 0..TRIES {
            let head = ring.acquire(control::HEAD);
            if self.position.offset == head {
                return self.nothing(ring, head);
            }
            let words = ring.header_words(self.position.offset);
            // The copy is complete before `hw` is loaded; `hw` was raised before anything was overwritten.
            fence(Ordering::Acquire);
            if self.overtaken(ring) {
                self.resume(ring);
                continue;
            }
            let h = Header::decode(&words);
            if let Err(e) = self.check(ring, &h, head) {
                return Look::Corrupt(e);
            }
            if h.kind == frame::PAD {
                self.position.offset = self.position.offset.wrapping_add(u64::from(h.length));
                self.report(page);
                continue;
            }
            self.current = h;
            self.pending = Missed {
                frames: h.seq - self.position.seq,
                rows: h.rows_before - self.position.rows,
                laps: u64::from(self.resumed),
            };
            return Look::Ready(h);
        }
        Look::Lapped
    }

    /// Tells an idle ring from one that has ended. `head` is loaded once more behind the state, which is stored
    /// after the final `head`.
    fn nothing(&self, ring: &Ring, head: u64) -> Look {
        if ring.acquire(control::STATE) != control::LIVE && ring.acquire(control::HEAD) == head {
            return Look::Ended;
        }
        Look::Empty
    }

    /// Whether everything read from the payload was still the frame. If not, the cursor has gone on to a later one.
    #[inline]
    pub fn valid(&mut self, ring: &Ring) -> bool {
        fence(Ordering::Acquire); // every load of the payload is complete before `hw` is loaded
        if self.overtaken(ring) {
            self.resume(ring);
            return false;
        }
        true
    }

    /// Leaves the frame that was looked at last.
    #[inline]
    pub fn advance(&mut self, page: Option<&Page>) {
        let h = &self.current;
        self.missed = self.missed.plus(self.pending);
        self.position.offset = self.position.offset.wrapping_add(u64::from(h.length));
        self.position.seq = h.seq.wrapping_add(1);
        self.position.rows = h.rows_before.wrapping_add(u64::from(h.rows));
        self.resumed = false;
        self.pending = Missed::default();
        self.report(page);
    }

    fn report(&self, page: Option<&Page>) {
        if let Some(page) = page {
            page.report(self.position, self.missed);
        }
    }

    /// What is missing, that before the frame at hand included.
    pub fn missed_by_now(&self) -> Missed {
        self.missed.plus(self.pending)
    }

    #[inline(always)]
    fn overtaken(&self, ring: &Ring) -> bool {
        ring.relaxed(control::HW).wrapping_sub(self.position.offset) > ring.geometry.data_bytes
    }

    /// Jumps to a frame that is still there. What was skipped is known when its header is.
    #[cold]
    fn resume(&mut self, ring: &Ring) {
        self.resumed = true;
        let mut to = match self.start {
            Start::Head => ring.acquire(control::LAST),
            Start::Default | Start::Keyframe if self.source != ANY_SOURCE => {
                self.source = ring.successor(self.source);
                ring.keyframe(usize::from(self.source))
            }
            _ => ring.acquire(control::TAIL),
        };
        if to <= self.position.offset
            || to >= ring.acquire(control::HEAD)
            || ring.relaxed(control::HW).wrapping_sub(to) > ring.geometry.data_bytes
        {
            to = ring.acquire(control::LAST);
        }
        self.position.offset = to & !63; // changes nothing in an honest ring
    }

    /// Holds a header against the ring. It is what the publisher wrote, so what fails here is not bad luck.
    fn check(&mut self, ring: &Ring, h: &Header, head: u64) -> Result<(), Error> {
        let (at, size) = (self.position.offset, ring.geometry.data_bytes);
        let (l, ahead) = (u64::from(h.length), head.wrapping_sub(self.position.offset));
        if ahead > size {
            return Err(corrupt(format!("head is {}, before the reader's {}", head, at)));
        }
        if l < 64 || l % 64 != 0 || h.length > ring.geometry.largest_frame || (at & (size - 1)) + l > size || l > ahead
        {
            return Err(corrupt(format!("frame at {} has length {}, head is {}", at, l, head)));
        }
        if h.kind == frame::PAD {
            return Ok(());
        }
        let expected = &self.position;
        let counts = if self.resumed {
            h.seq >= expected.seq && h.rows_before >= expected.rows
        } else {
            h.seq == expected.seq && h.rows_before == expected.rows
        };
        if !counts {
            let text = format!(
                "frame at {} is number {} after row {}, expected {} after {}",
                at, h.seq, h.rows_before, expected.seq, expected.rows
            );
            return Err(corrupt(text));
        }
        if !h.extents(self.source(ring, h.source)?.sizes()) {
            return Err(corrupt(format!("frame at {} describes rows outside itself", at)));
        }
        Ok(())
    }

    /// The source of that number, read from the catalog when a frame first names it.
    #[inline]
    pub fn source(&mut self, ring: &Ring, number: u16) -> Result<&Arc<Source>, Error> {
        let n = usize::from(number);
        if !matches!(self.sources.get(n), Some(Some(_))) {
            let source = ring.source(n)?;
            if self.sources.len() <= n {
                self.sources.resize_with(n + 1, || None);
            }
            self.sources[n] = Some(source);
        }
        self.known(number).ok_or_else(|| corrupt(String::new()))
    }

    /// The same, if a frame has named it.
    #[inline]
    pub fn known(&self, number: u16) -> Option<&Arc<Source>> {
        self.sources.get(usize::from(number)).and_then(Option::as_ref)
    }
}
