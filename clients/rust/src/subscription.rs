// SPDX-License-Identifier: Apache-2.0

//! A reader of one ring, and of the ring that takes its place.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attach;
use crate::batch::Loss;
use crate::cursor::{Cursor, Missed, Position};
use crate::error::{Error, ErrorKind};
use crate::frame::Header;
use crate::layout::{control, ANY_SOURCE};
use crate::options::{Options, Start};
use crate::page::Page;
use crate::pulse::Pulse;
use crate::reattach::{self, Away};
use crate::ring::Ring;
use crate::source::Source;
use crate::sys::ffi::O_NONBLOCK;
use crate::sys::poll::Poll;
use crate::sys::socket::Socket;

/// Reads one ring, and the ring that takes its place, and so on.
///
/// It is `Send` and `Sync`: it may move to another thread, and its [`stats`](Subscription::stats) may be looked at
/// from several; reading takes `&mut self`. Threads that want to read side by side each attach for themselves:
/// that costs a page and a mapping of the same memory. Dropping it gives the ring back and closes everything.
pub struct Subscription {
    pub(crate) options: Options,
    pub(crate) ring: Option<Ring>,
    /// None: the ring is a file's, or nobody is there.
    pub(crate) line: Option<Line>,
    /// The ring is a file's, which has an end.
    pub(crate) file: bool,
    pub(crate) cursor: Cursor,
    /// A private copy of the frame that is delivered.
    pub(crate) buf: Vec<u64>,
    pub(crate) poll: Poll,

    /// What has to be told before the next frame.
    pub(crate) news: News,
    /// What was told of the cursor's loss.
    pub(crate) told: Missed,
    pub(crate) away: Away,
    pub(crate) pulse: Pulse,
    /// Behind the last frame that was delivered.
    pub(crate) position: Position,
    pub(crate) stats: Stats,
}

/// What connects a reader to the sidecar beside the ring.
pub(crate) struct Line {
    pub page: Page,
    pub bell: OwnedFd,
    pub socket: Socket,
    /// The sidecar is gone; what it left is being read.
    pub hung_up: bool,
}

#[derive(Default)]
pub(crate) struct News {
    /// Final.
    pub error: Option<Error>,
    pub gone: bool,
    pub hangs: bool,
    pub restart: Option<Loss>,
    /// The eviction was told.
    pub evicted: bool,
    /// A frame that was copied and not delivered yet.
    pub held: Option<Header>,
}

/// Counted since the subscription began, over all restarts.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Frames that were delivered.
    pub frames: u64,
    /// Rows that were delivered.
    pub rows: u64,
    /// Frames that were missed, as far as that can be counted.
    pub lost_frames: u64,
    /// Rows that were missed.
    pub lost_rows: u64,
    /// How often the ring overtook this reader.
    pub laps: u64,
    /// How often it attached anew.
    pub restarts: u64,
    /// Published and not yet read.
    pub lag_frames: u64,
    /// Published and not yet read.
    pub lag_rows: u64,
    /// Why there is no sidecar just now, or why it seems dead. None: all is well.
    pub away: Option<Error>,
}

impl Subscription {
    /// Connects to the sidecar, which lends its ring for as long as the subscription lives.
    ///
    /// It fails at once where waiting is no remedy: [`ErrorKind::NoSidecar`], [`ErrorKind::Permission`],
    /// [`ErrorKind::NotAllowed`], [`ErrorKind::NotFound`].
    ///
    /// ```no_run
    /// # fn main() -> Result<(), ringside::Error> {
    /// let mut sub = ringside::Subscription::attach(ringside::Options { source: "flows".into(), ..Default::default() })?;
    /// while let Some(batch) = sub.next()? {
    ///     println!("{} {} rows", batch.kind.name(), batch.rows);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn attach(options: Options) -> Result<Subscription, Error> {
        let options = options.with_defaults();
        let began = Instant::now();
        let mut pause = reattach::FIRST_PAUSE;
        let grant = loop {
            match attach::attach(&options, options.start) {
                Ok(grant) => break grant,
                // A ring that is just being replaced will be there in a moment.
                Err(e) if e.kind() == ErrorKind::TryAgain && began.elapsed() < reattach::REPLACE_GRACE => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(reattach::MOST_PAUSE);
                }
                Err(e) => return Err(e),
            }
        };
        let mut sub = Subscription::new(options)?;
        let position = grant.position;
        sub.adopt(grant, position)?;
        Ok(sub)
    }

    /// Reads a ring that was recorded to a file, from its oldest frame unless `start` says otherwise (without a
    /// keyframe from there anyway) to its end, after which [`next`](Subscription::next) says None. The file is read
    /// whole, and may change afterwards. Of the options only `source` and `start` count.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), ringside::Error> {
    /// let mut sub = ringside::Subscription::open_file("flows.ring", Default::default())?;
    /// while let Some(batch) = sub.next()? {
    ///     println!("{} {}", batch.source_name(), batch.rows);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn open_file(path: impl AsRef<Path>, options: Options) -> Result<Subscription, Error> {
        let path = path.as_ref();
        // A named pipe, which it must not be, would be waited for.
        let opened = File::options()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(path)
            .map_err(|e| Error::io("open", e))
            .and_then(|mut file| Subscription::image(&mut file, options));
        opened.map_err(|e| Error::new(e.kind(), format!("ring file {}: {}", path.display(), e)))
    }

    /// Reads a ring's bytes like a file. They are copied.
    pub fn open_bytes(bytes: &[u8], options: Options) -> Result<Subscription, Error> {
        Subscription::image(&mut io::Cursor::new(bytes), options)
    }

    fn image<F: Read + Seek>(image: &mut F, mut options: Options) -> Result<Subscription, Error> {
        let ring = Ring::read(image)?;
        if options.start == Start::Default {
            options.start = Start::Oldest;
        }
        let named = |n: &usize| ring.source(*n).map_or(false, |s| s.name == options.source);
        let source = if options.source.is_empty() { None } else { (0..ring.sources()).rev().find(named) };
        let source = source.map_or(ANY_SOURCE, |n| n as u16);
        let position = ring.begin(options.start, source);
        let mut sub = Subscription::new(options)?;
        sub.file = true;
        sub.begin(ring, position, source);
        Ok(sub)
    }

    fn new(options: Options) -> Result<Subscription, Error> {
        Ok(Subscription {
            cursor: Cursor::new(Position::default(), options.start, ANY_SOURCE),
            options,
            ring: None,
            line: None,
            file: false,
            buf: Vec::new(),
            poll: Poll::new().map_err(|e| Error::io("epoll", e))?,
            news: News::default(),
            told: Missed::default(),
            away: Away::default(),
            pulse: Pulse::default(),
            position: Position::default(),
            stats: Stats::default(),
        })
    }

    /// Makes a ring the one that is read.
    pub(crate) fn begin(&mut self, ring: Ring, position: Position, source: u16) {
        let words = ring.geometry.largest_frame as usize / 8;
        if self.buf.len() < words {
            self.buf = vec![0; words]; // zero pages, until frames are as large
        }
        self.cursor = Cursor::new(position, self.options.start, source);
        self.told = Missed::default();
        self.news.evicted = false;
        self.pulse = Pulse::default();
        self.position = position;
        self.stats.away = None;
        self.ring = Some(ring);
    }

    /// What is in the ring, the newest source of each name. While nobody is there: nothing.
    pub fn sources(&self) -> Result<Vec<Arc<Source>>, Error> {
        let mut list: Vec<Arc<Source>> = Vec::new();
        if let Some(ring) = &self.ring {
            for number in 0..ring.sources() {
                let source = ring.source(number)?;
                list.retain(|s| s.name != source.name);
                list.push(source);
            }
        }
        Ok(list)
    }

    /// Asks for a keyframe of the source of that name, or of all. The sidecar makes the next scan one, at most one
    /// a second. Of a ring in a file, or while nobody is there, nothing is asked: a new ring begins with keyframes.
    pub fn ask(&self, source: Option<&str>) -> Result<(), Error> {
        let number = match source {
            None => None,
            Some(name) => {
                let found = self.sources()?.into_iter().find(|s| s.name == name);
                let text = || format!("source {:?} of ring {:?}: not found", name, self.options.ring);
                Some(found.ok_or_else(|| Error::new(ErrorKind::NotFound, text()))?.number)
            }
        };
        self.ask_number(number);
        Ok(())
    }

    pub(crate) fn ask_number(&self, source: Option<u16>) {
        if let Some(line) = &self.line {
            line.page.ask(source);
        }
    }

    /// Counts what this subscription got, missed and has before it.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats.clone();
        if let Some((frames, rows)) = self.ring.as_ref().and_then(Ring::totals) {
            stats.lag_frames = frames.saturating_sub(self.position.seq);
            stats.lag_rows = rows.saturating_sub(self.position.rows);
        }
        stats
    }

    /// What `read` left, as the cursor stands behind a frame.
    #[inline]
    pub(crate) fn account(&mut self, rows: u32) {
        self.position = self.cursor.position;
        self.stats.frames = self.stats.frames.wrapping_add(1);
        self.stats.rows = self.stats.rows.wrapping_add(u64::from(rows));
    }

    pub(crate) fn realtime_offset_ns(&self) -> i64 {
        self.ring.as_ref().map_or(0, |r| r.relaxed(control::REALTIME_OFFSET_NS) as i64)
    }

    pub(crate) fn page(&self) -> Option<&Page> {
        self.line.as_ref().map(|l| &l.page)
    }
}

/// The descriptor to poll for reading; see [`Subscription::arm`].
impl AsRawFd for Subscription {
    fn as_raw_fd(&self) -> RawFd {
        self.poll.fd().as_raw_fd()
    }
}

/// The descriptor to poll for reading; see [`Subscription::arm`].
impl AsFd for Subscription {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.fd().as_fd()
    }
}

/// How long one sleep lasts at most: for a sidecar that hangs, whose heartbeat is looked at then.
pub(crate) const TICK: Duration = Duration::from_millis(1000);
