// SPDX-License-Identifier: Apache-2.0

//! Memory that others write: a mapped ring, a consumer's page; and private copies that are read the same way.

use std::io::{self, Read};
use std::os::raw::c_void;
use std::os::unix::io::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use super::ffi;
use super::place::Place;

/// A range of bytes that stays mapped as long as this lives. Another process may write it at any time.
pub(crate) struct Memory {
    base: NonNull<u8>,
    len: usize,
    writable: bool,
    /// Not mapped: `base` points to the words of a boxed slice, which this owns.
    private: bool,
}

// SAFETY: the memory belongs to the process and not to a thread; it is only ever accessed by atomic loads and
// stores, so threads may do that at once. It is freed when the last reference is gone, as any other value.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Maps the first `len` bytes of a file. The caller has made sure, by the seals, that the file keeps them.
    pub fn map(fd: BorrowedFd<'_>, len: usize, writable: bool) -> io::Result<Memory> {
        let prot = if writable { ffi::PROT_READ | ffi::PROT_WRITE } else { ffi::PROT_READ };
        let hint = round_address(len);
        // SAFETY: a new mapping where nothing is (the address is a hint) changes no memory that exists.
        let base = unsafe { ffi::mmap(hint, len, prot, ffi::MAP_SHARED | ffi::MAP_POPULATE, fd.as_raw_fd(), 0) };
        let base = match NonNull::new(base as *mut u8) {
            Some(base) if base.as_ptr() as isize != -1 => base,
            _ => return Err(io::Error::last_os_error()),
        };
        // Core dumps of an application need not carry the content of kernel maps. Where the kernel refuses, a
        // dump is larger, nothing else.
        // SAFETY: the range was just mapped; the advice does not change its content.
        let _ = unsafe { ffi::madvise(base.as_ptr() as *mut _, len, ffi::MADV_DONTDUMP) };
        Ok(Memory { base, len, writable, private: false })
    }

    /// A private copy of the `len` bytes that are read.
    pub fn read(from: &mut dyn Read, len: usize) -> io::Result<Memory> {
        let mut words = Vec::with_capacity((len + 7) / 8);
        let mut chunk = vec![0; len.min(64 << 10)];
        let mut left = len;
        while left > 0 {
            let chunk = &mut chunk[..left.min(64 << 10)];
            from.read_exact(chunk)?;
            left -= chunk.len();
            words.extend(chunk.chunks(8).map(|bytes| {
                let mut word = [0; 8];
                word[..bytes.len()].copy_from_slice(bytes);
                AtomicU64::new(u64::from_ne_bytes(word))
            }));
        }
        // Leaked until it is dropped: a box that is moved would invalidate what points into it.
        let base = NonNull::from(Box::leak(words.into_boxed_slice())).cast();
        Ok(Memory { base, len, writable: false, private: true })
    }

    /// Replaces a word of a private copy that nobody else has seen yet.
    pub fn amend(&mut self, offset: usize, value: u64) {
        assert!(self.private);
        self.atomic(offset).store(value, Ordering::Relaxed);
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The aligned word at `offset`. Relaxed: whoever needs an order adds a fence.
    #[inline(always)]
    pub fn word(&self, offset: usize) -> u64 {
        self.atomic(offset).load(Ordering::Relaxed)
    }

    /// Stores a word, relaxed. Only pages are written, and they are mapped for it.
    #[inline(always)]
    pub fn store(&self, offset: usize, value: u64, order: Ordering) {
        assert!(self.writable);
        self.atomic(offset).store(value, order);
    }

    #[inline(always)]
    fn atomic(&self, offset: usize) -> &AtomicU64 {
        assert!(offset % 8 == 0 && self.len >= 8 && offset <= self.len - 8);
        // SAFETY: eight bytes at `offset` lie inside the range (asserted), which is mapped as long as `self` is
        // borrowed. `base` is aligned to a page or to a word, `offset` to a word (asserted). An AtomicU64 may be
        // changed by others; a reference to it promises nothing about its value. It serves one load,
        // or one store to memory that may be written: mapped for it, or private.
        unsafe { &*(self.base.as_ptr().add(offset) as *const AtomicU64) }
    }

    /// Bytes `offset` to `offset + len`, which must lie inside.
    #[inline]
    pub fn place(&self, offset: usize, len: usize) -> Place<'_> {
        assert!(offset <= self.len && len <= self.len - offset);
        // SAFETY: the bytes lie inside the range (asserted), which is mapped as long as `self` is borrowed, and
        // only ever accessed atomically. One byte aligns to everything.
        unsafe { Place::new(self.base.as_ptr().add(offset), len, 1) }
    }
}

/// What one entry of a page table covers where it can.
const HUGE_PAGE: usize = 2 << 20;

/// A free address that is a multiple of a huge page, at which the publisher's can be mapped as such. It is a hint: if
/// another thread has taken it meanwhile, the kernel chooses another.
fn round_address(len: usize) -> *mut c_void {
    if len < HUGE_PAGE {
        return ptr::null_mut();
    }
    let (room, flags) = (len + HUGE_PAGE, ffi::MAP_PRIVATE | ffi::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice changes no memory that exists.
    let base = unsafe { ffi::mmap(ptr::null_mut(), room, ffi::PROT_NONE, flags, -1, 0) };
    if base as isize == -1 {
        return ptr::null_mut();
    }
    // SAFETY: the range was just mapped, and nobody else knows of it.
    let _ = unsafe { ffi::munmap(base, room) };
    base.cast::<u8>().wrapping_add((base as usize).wrapping_neg() % HUGE_PAGE).cast()
}

impl Drop for Memory {
    fn drop(&mut self) {
        let base = self.base.as_ptr();
        if self.private {
            let words = ptr::slice_from_raw_parts_mut(base as *mut AtomicU64, (self.len + 7) / 8);
            // SAFETY: `read` leaked exactly this slice, and everything that points into it borrowed `self`.
            drop(unsafe { Box::from_raw(words) });
        } else {
            // SAFETY: `map` mapped exactly this, and everything that points into it borrowed `self`. It cannot fail
            // for a range that is mapped.
            let _ = unsafe { ffi::munmap(base as *mut _, self.len) };
        }
    }
}
