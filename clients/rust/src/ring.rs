// SPDX-License-Identifier: Apache-2.0

//! A ring that was mapped, or read from a file: its words and its catalog.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::io::AsFd;
use std::sync::atomic::{fence, Ordering};
use std::sync::Arc;

use crate::cursor::Position;
use crate::error::{Error, ErrorKind};
use crate::frame::Header;
use crate::geometry::Geometry;
use crate::layout::{control, record, ANY_SOURCE, FRAME_HEADER, MAX_DATA, PAGE, RECORD};
use crate::options::Start;
use crate::source::Source;
use crate::sys::file;
use crate::sys::memory::Memory;
use crate::Place;

/// Bounds the memory of an image: the largest data, and as much for a catalog and schemas that nobody needs.
const MAX_IMAGE: u64 = 2 * MAX_DATA;

const SEALS: u32 = file::SEAL_SEAL | file::SEAL_SHRINK | file::SEAL_GROW | file::SEAL_FUTURE_WRITE;

pub(crate) struct Ring {
    memory: Memory,
    pub geometry: Geometry,
}

impl Ring {
    /// Maps the ring that a sidecar lends. The seals prove that nobody can cut the file under the mapping, and
    /// that nobody but the publisher writes it.
    pub fn map(file: &File) -> Result<Ring, Error> {
        require_seals(file, SEALS, "ring")?;
        let bytes = file.metadata().map_err(|e| Error::io("size of the ring", e))?.len();
        // Sealed, the file is a memfd that keeps its size; a ring has a page at least for header and for control.
        if bytes < 2 * PAGE as u64 {
            return Err(Error::new(ErrorKind::NotARing, format!("no ring: it has {} bytes", bytes)));
        }
        let memory = Memory::map(file.as_fd(), bytes as usize, false)
            .map_err(|e| Error::io(format!("map {} bytes of the ring", bytes), e))?;
        Ring::new(memory)
    }

    /// Copies an image of a ring: a file could change or be cut under a mapping. It may be one that is being
    /// recorded: what is overwritten while it is copied counts as overwritten.
    pub fn read<F: Read + Seek>(image: &mut F) -> Result<Ring, Error> {
        let fail = |e| Error::io("read the ring", e);
        let bytes = image.seek(SeekFrom::End(0)).map_err(fail)?;
        let mut page = [0; PAGE];
        if bytes >= 2 * PAGE as u64 {
            image.seek(SeekFrom::Start(0)).map_err(fail)?;
            image.read_exact(&mut page).map_err(fail)?;
        }
        Geometry::decode(&page, bytes)?; // before as much memory is taken
        if bytes > MAX_IMAGE {
            return Err(Error::new(ErrorKind::Geometry, format!("image of {} bytes: at most {}", bytes, MAX_IMAGE)));
        }
        image.seek(SeekFrom::Start(0)).map_err(fail)?;
        let mut memory = Memory::read(image, bytes as usize).map_err(fail)?;
        fence(Ordering::Acquire);
        let mut hw = [0; 8];
        image.seek(SeekFrom::Start(control::HW as u64)).map_err(fail)?;
        image.read_exact(&mut hw).map_err(fail)?;
        memory.amend(control::HW, u64::from_le_bytes(hw));
        Ring::new(memory)
    }

    /// Where reading an image begins: at a frame or pad, which tells the counts.
    pub fn begin(&self, start: Start, source: u16) -> Position {
        let head = self.acquire(control::HEAD);
        let mut at = match start {
            Start::Beginning => return Position::default(),
            Start::Head => head,
            Start::Keyframe => self.newest_scan(source).unwrap_or_else(|| self.acquire(control::TAIL)),
            Start::Default | Start::Oldest => self.acquire(control::TAIL),
        };
        if self.overtaken(at) {
            at = self.acquire(control::LAST); // while it was copied
        }
        at &= !63;
        if at == 0 {
            return Position::default();
        }
        if at >= head || self.overtaken(at) {
            let (seq, rows) = self.totals().unwrap_or_default(); // there is no frame to tell
            return Position { offset: head, seq, rows };
        }
        let h = Header::decode(&self.header_words(at));
        Position { offset: at, seq: h.seq, rows: h.rows_before }
    }

    /// Where the newest whole scan begins, of the oldest among several sources.
    fn newest_scan(&self, source: u16) -> Option<u64> {
        let wanted = |n: &usize| source == ANY_SOURCE || usize::from(source) == *n;
        let active = |n: &usize| self.acquire(self.record(*n) + record::STATE) == record::ACTIVE;
        let at = (0..self.sources()).filter(wanted).filter(active).map(|n| self.keyframe(n));
        at.filter(|&at| at < self.acquire(control::HEAD) && !self.overtaken(at)).min()
    }

    fn overtaken(&self, at: u64) -> bool {
        self.relaxed(control::HW).wrapping_sub(at) > self.geometry.data_bytes
    }

    /// How many frames and rows the ring has had, by its newest frame. None if that could not be caught.
    pub fn totals(&self) -> Option<(u64, u64)> {
        for _ in 0..64 {
            let last = self.acquire(control::LAST) & !63;
            if self.acquire(control::HEAD) == 0 {
                return Some((0, 0));
            }
            let words = self.header_words(last);
            fence(Ordering::Acquire);
            if self.relaxed(control::HW).wrapping_sub(last) <= self.geometry.data_bytes {
                let h = Header::decode(&words);
                return Some((h.seq.wrapping_add(1), h.rows_before.wrapping_add(u64::from(h.rows))));
            }
        }
        None
    }

    fn new(memory: Memory) -> Result<Ring, Error> {
        let mut page = [0; PAGE];
        memory.place(0, PAGE).copy_to(&mut page);
        let geometry = Geometry::decode(&page, memory.len() as u64)?;
        Ok(Ring { memory, geometry })
    }

    /// A word of the control page, relaxed.
    #[inline(always)]
    pub fn relaxed(&self, word: usize) -> u64 {
        self.memory.word(word)
    }

    /// A word of the control page; what is loaded afterwards is loaded after it.
    #[inline(always)]
    pub fn acquire(&self, word: usize) -> u64 {
        let value = self.memory.word(word);
        fence(Ordering::Acquire);
        value
    }

    /// The eight words of the frame header at a position, which is a multiple of 64.
    #[inline(always)]
    pub fn header_words(&self, position: u64) -> [u64; 8] {
        let at = self.at(position);
        std::array::from_fn(|i| self.memory.word(at + i * 8))
    }

    /// What follows the header of the frame at a position. The caller has checked that the frame does not wrap.
    #[inline(always)]
    pub fn payload(&self, position: u64, length: u32) -> Place<'_> {
        self.memory.place(self.at(position) + FRAME_HEADER, length as usize - FRAME_HEADER)
    }

    #[inline(always)]
    fn at(&self, position: u64) -> usize {
        (self.geometry.data_off + (position & (self.geometry.data_bytes - 1))) as usize
    }

    /// How many sources the catalog counts.
    pub fn sources(&self) -> usize {
        let counted = self.acquire(control::CATALOG_LEN);
        counted.min(u64::from(self.geometry.catalog_records)).min(u64::from(ANY_SOURCE)) as usize
    }

    /// The record of a counted source. It never changes, and neither does its schema.
    pub fn source(&self, number: usize) -> Result<Arc<Source>, Error> {
        if number >= self.sources() {
            return Err(corrupt(format!("a frame names source {}, the catalog has {}", number, self.sources())));
        }
        let mut fixed = [0; record::FIXED_BYTES];
        self.memory.place(self.record(number), record::FIXED_BYTES).copy_to(&mut fixed);
        let heap = self.memory.place(self.geometry.heap_off as usize, self.geometry.heap_bytes as usize);
        Source::decode(&fixed, number, heap).map(Arc::new).map_err(corrupt)
    }

    fn record(&self, number: usize) -> usize {
        self.geometry.catalog_off as usize + number * RECORD
    }

    /// Where the newest complete scan of a source begins.
    pub fn keyframe(&self, source: usize) -> u64 {
        if source >= self.sources() {
            return u64::MAX;
        }
        self.acquire(self.record(source) + record::KEYFRAME_POS)
    }

    /// The source that has this one's place now: itself, unless another map took it. A record names a later one
    /// or lies, so that following ends.
    pub fn successor(&self, source: u16) -> u16 {
        let (mut n, counted) = (usize::from(source), self.sources());
        while n < counted && self.acquire(self.record(n) + record::STATE) == record::SUPERSEDED {
            let by = self.acquire(self.record(n) + record::SUPERSEDED_BY);
            match usize::try_from(by.wrapping_sub(1)) {
                Ok(by) if by > n && by < counted => n = by,
                _ => break,
            }
        }
        n as u16
    }
}

/// The client's half of the seals: memory is believed only if nobody can take it away.
pub(crate) fn require_seals(file: &File, want: u32, what: &str) -> Result<(), Error> {
    let text = match file::seals(file.as_fd()) {
        Ok(have) if have & want == want => return Ok(()),
        Ok(have) => format!("the {} is not sealed: it has {:#x}, needs {:#x}", what, have, want),
        Err(e) => format!("the {} cannot be sealed: {}", what, e),
    };
    Err(Error::new(ErrorKind::Seals, text))
}

pub(crate) fn corrupt(what: String) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the ring contradicts itself: {}", what))
}
