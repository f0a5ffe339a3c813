// SPDX-License-Identifier: Apache-2.0

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicU8, Ordering};

/// Some bytes of a ring, or of a copy, that can be loaded and copied and never referred to: in a lease the
/// sidecar may overwrite them at any time.
///
/// Every load is of single numbers that are not torn if they lie aligned. Loads outside the bytes panic; where
/// offset and size are constants, as in the code that [`row!`](crate::row!) writes, the check costs nothing.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    at: *const u8,
    len: usize,
    /// `at` is a multiple of this, as far as is known.
    align: usize,
    lives: PhantomData<&'a u8>,
}

// SAFETY: a Place only loads, atomically, from memory that lives as long as its lifetime and that is written by
// nobody in this process but atomically.
unsafe impl Send for Place<'_> {}
// SAFETY: as above.
unsafe impl Sync for Place<'_> {}

macro_rules! load {
    ($(#[$doc:meta])* $name:ident, $int:ty, $atomic:ty, $halves:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(self, offset: usize) -> $int {
            const SIZE: usize = std::mem::size_of::<$int>();
            assert!(self.len >= SIZE && offset <= self.len - SIZE, "outside the place");
            // SAFETY: `offset` is inside (asserted), so the pointer stays in the same memory.
            let at = unsafe { self.at.add(offset) };
            if (self.align % SIZE == 0 && offset % SIZE == 0) || at as usize % SIZE == 0 {
                // SAFETY: SIZE bytes at `offset` are inside (asserted) and alive ('a). Aligned: `at` was just
                // looked at, or is `offset`, a multiple of SIZE, beyond an address that is one. A reference to
                // an atomic promises nothing about its value, and is gone after this one load.
                unsafe { &*(at as *const $atomic) }.load(Ordering::Relaxed)
            } else {
                $halves(self, offset)
            }
        }
    };
}

impl<'a> Place<'a> {
    /// # Safety
    /// `len` bytes at `at` must be readable for 'a and written by this process only atomically; `at` must be a
    /// multiple of `align`.
    #[inline(always)]
    pub(super) const unsafe fn new(at: *const u8, len: usize, align: usize) -> Place<'a> {
        Place { at, len, align, lives: PhantomData }
    }

    /// Bytes of one's own, to load from.
    pub fn of(bytes: &'a [u8]) -> Place<'a> {
        // SAFETY: the bytes are those of the slice, which lives for 'a and is written by nobody while it is borrowed.
        // One divides every address.
        unsafe { Place::new(bytes.as_ptr(), bytes.len(), 1) }
    }

    /// The words of a buffer of one's own.
    pub(crate) fn of_words(words: &'a [u64], len: usize) -> Place<'a> {
        assert!(len <= words.len() * 8);
        // SAFETY: the bytes are inside the slice (asserted), which lives for 'a and is written by nobody while it
        // is borrowed. Words are aligned to 8.
        unsafe { Place::new(words.as_ptr() as *const u8, len, 8) }
    }

    /// How many bytes there are.
    #[inline(always)]
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The `len` bytes from `offset`, which must lie inside.
    #[inline(always)]
    pub fn part(self, offset: usize, len: usize) -> Place<'a> {
        assert!(offset <= self.len && len <= self.len - offset, "outside the place");
        let align =
            if self.align != 0 && offset % self.align == 0 { self.align } else { largest_power(offset, self.align) };
        // SAFETY: the part lies inside (asserted), and what is true of the whole is true of it. `align` divides
        // both `self.align` and `offset`.
        unsafe { Place::new(self.at.add(offset), len, align) }
    }

    #[inline(always)]
    pub(super) fn address(self) -> *const u8 {
        self.at
    }

    /// The byte at `offset`.
    #[inline(always)]
    pub fn u8(self, offset: usize) -> u8 {
        assert!(offset < self.len, "outside the place");
        // SAFETY: the byte is inside (asserted) and alive ('a); for the reference see `load`.
        unsafe { &*(self.at.add(offset) as *const AtomicU8) }.load(Ordering::Relaxed)
    }

    load!(/// The two bytes at `offset`, little-endian. If they do not lie aligned, they are loaded one by one.
        u16, u16, AtomicU16, |place: Place<'_>, offset| u16::from(place.u8(offset)) | u16::from(place.u8(offset + 1)) << 8);
    load!(/// The four bytes at `offset`, little-endian. If they do not lie aligned, they are loaded in halves.
        u32, u32, AtomicU32, |place: Place<'_>, offset| u32::from(place.u16(offset)) | u32::from(place.u16(offset + 2)) << 16);
    load!(/// The eight bytes at `offset`, little-endian. If they do not lie aligned, they are loaded in halves.
        u64, u64, AtomicU64, |place: Place<'_>, offset| u64::from(place.u32(offset)) | u64::from(place.u32(offset + 4)) << 32);

    /// Copies all bytes into `to`, which has as many. In a lease they may change meanwhile.
    #[inline]
    pub fn copy_to(self, to: &mut [u8]) {
        assert_eq!(to.len(), self.len, "a copy has as many bytes as the place");
        let words = self.len / 8 * 8;
        for (i, chunk) in to[..words].chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&self.u64(i * 8).to_le_bytes());
        }
        for (i, byte) in to[words..].iter_mut().enumerate() {
            *byte = self.u8(words + i);
        }
    }

    /// Copies whole words to the front of `to`.
    pub(crate) fn copy_to_words(self, to: &mut [u64]) {
        assert!(self.len % 8 == 0 && self.at as usize % 8 == 0);
        let from = self.at as *const AtomicU64;
        for (i, word) in to[..self.len / 8].iter_mut().enumerate() {
            // SAFETY: i < len / 8, so the word is inside and alive ('a); aligned, as was asserted. For the reference
            // see `load`.
            *word = unsafe { &*from.add(i) }.load(Ordering::Relaxed);
        }
    }
}

/// The largest power of two that divides `offset` and `align`.
#[inline(always)]
const fn largest_power(offset: usize, align: usize) -> usize {
    let either = offset | align;
    either & either.wrapping_neg()
}

/// The first `len` bytes of a buffer of one's own.
pub(crate) fn bytes_of(words: &[u64], len: usize) -> &[u8] {
    assert!(len <= words.len() * 8);
    // SAFETY: the bytes are inside the slice (asserted) and borrowed with it; any eight bytes are eight bytes.
    unsafe { std::slice::from_raw_parts(words.as_ptr() as *const u8, len) }
}
