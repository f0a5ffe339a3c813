// SPDX-License-Identifier: Apache-2.0

//! An epoll instance: what a sleeping reader waits on.

use std::io;
use std::os::raw::c_int;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::ffi;

/// What a descriptor in the set is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    /// Readable for ever; every ring is a new edge.
    Bell,
    /// The socket: readable when the sidecar hangs up.
    Lease,
}

pub(crate) struct Poll(OwnedFd);

impl Poll {
    pub fn new() -> io::Result<Poll> {
        // SAFETY: the call takes no pointer.
        let fd = unsafe { ffi::epoll_create1(ffi::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, so nobody else owns it.
        Ok(Poll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub fn fd(&self) -> &OwnedFd {
        &self.0
    }

    pub fn add(&self, fd: &OwnedFd, member: Member) -> io::Result<()> {
        let events = match member {
            Member::Bell => ffi::EPOLLIN | ffi::EPOLLET,
            Member::Lease => ffi::EPOLLIN | ffi::EPOLLRDHUP,
        };
        self.control(ffi::EPOLL_CTL_ADD, fd, ffi::EpollEvent { events, data: member as u64 })
    }

    /// Takes a descriptor out. Closing it is not enough where another process holds the same description.
    pub fn remove(&self, fd: &OwnedFd) {
        // It was added, so this cannot fail; and if it did, its events would be spurious wake-ups.
        let _ = self.control(ffi::EPOLL_CTL_DEL, fd, ffi::EpollEvent { events: 0, data: 0 });
    }

    fn control(&self, op: c_int, fd: &OwnedFd, mut event: ffi::EpollEvent) -> io::Result<()> {
        // SAFETY: the event lives through the call; both descriptors are open.
        match unsafe { ffi::epoll_ctl(self.0.as_raw_fd(), op, fd.as_raw_fd(), &mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits for at most `limit`, rounded up to milliseconds, and says whether the lease has something to tell. A
    /// signal that interrupts is no event.
    pub fn wait(&self, limit: Duration) -> bool {
        let mut events = [ffi::EpollEvent { events: 0, data: 0 }; 2];
        let ms = limit.as_micros().saturating_add(999) / 1000;
        let ms = c_int::try_from(ms).unwrap_or(c_int::MAX);
        // SAFETY: there is room for as many events as is said.
        let n = unsafe { ffi::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), events.len() as c_int, ms) };
        events.iter().take(usize::try_from(n).unwrap_or(0)).any(|e| e.data == Member::Lease as u64)
    }
}
