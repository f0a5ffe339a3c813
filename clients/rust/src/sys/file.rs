// SPDX-License-Identifier: Apache-2.0

//! What the kernel says of a descriptor.

use std::io;
use std::os::unix::io::{AsRawFd, BorrowedFd};

use super::ffi;

pub const SEAL_SEAL: u32 = 0x1;
pub const SEAL_SHRINK: u32 = 0x2;
pub const SEAL_GROW: u32 = 0x4;
pub const SEAL_FUTURE_WRITE: u32 = 0x10;

/// The seals of a memfd. A file that cannot have any is an error.
pub(crate) fn seals(fd: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: the call takes no pointer; the descriptor is open as long as it is borrowed.
    match unsafe { ffi::fcntl(fd.as_raw_fd(), ffi::F_GET_SEALS) } {
        -1 => Err(io::Error::last_os_error()),
        seals => Ok(seals as u32),
    }
}

/// As whom this process asks.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: takes nothing, never fails.
    unsafe { ffi::geteuid() }
}
