// SPDX-License-Identifier: Apache-2.0

//! The consumer's own page (protocol 2.4).

use std::fs::File;
use std::os::unix::io::AsFd;
use std::sync::atomic::{fence, Ordering};

use crate::cursor::{Missed, Position};
use crate::error::{Error, ErrorKind};
use crate::layout::{page as at, PAGE};
use crate::ring::require_seals;
use crate::sys::file;
use crate::sys::memory::Memory;

const SEALS: u32 = file::SEAL_SEAL | file::SEAL_SHRINK | file::SEAL_GROW;

pub(crate) struct Page(Memory);

impl Page {
    pub fn map(file: &File) -> Result<Page, Error> {
        require_seals(file, SEALS, "consumer's page")?;
        let bytes = file.metadata().map_err(|e| Error::io("size of the consumer's page", e))?.len();
        if bytes != PAGE as u64 {
            return Err(Error::new(
                ErrorKind::Geometry,
                format!("the consumer's page has {} bytes, expected {}", bytes, PAGE),
            ));
        }
        Memory::map(file.as_fd(), PAGE, true).map(Page).map_err(|e| Error::io("map the consumer's page", e))
    }

    /// Says how far the consumer is, `cursor` last: a lossless ring overwrites what lies before it.
    #[inline]
    pub fn report(&self, position: Position, missed: Missed) {
        let store = |word, value| self.0.store(word, value, Ordering::Relaxed);
        store(at::NEXT_SEQ, position.seq);
        store(at::NEXT_ROWS, position.rows);
        store(at::LOST_FRAMES, missed.frames);
        store(at::LOST_ROWS, missed.rows);
        store(at::LAPS, missed.laps);
        self.0.store(at::CURSOR, position.offset, Ordering::Release);
    }

    /// Asks to be rung. What is loaded afterwards is loaded after it: the publisher stores `head`, fences and
    /// loads the flag, so that one of the two sees the other's store.
    pub fn sleep(&self) {
        self.0.store(at::SLEEP, 1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Takes that back.
    pub fn wake(&self) {
        self.0.store(at::SLEEP, 0, Ordering::Relaxed);
    }

    /// Wants a keyframe of one source, or of all.
    pub fn ask(&self, source: Option<u16>) {
        let want = source.map_or(at::ASK_ALL, |number| u64::from(number) + 1);
        self.0.store(at::ASK, want, Ordering::Relaxed);
    }

    /// Whether the publisher of a lossless ring no longer waits for this consumer.
    #[inline]
    pub fn evicted(&self) -> bool {
        self.0.word(at::EVICTED) != 0
    }
}
