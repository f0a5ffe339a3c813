// SPDX-License-Identifier: Apache-2.0

//! A SOCK_SEQPACKET connection, which the standard library does not have.

use std::ffi::c_void;
use std::io;
use std::mem;
use std::os::raw::{c_int, c_long};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr;
use std::time::Duration;

use super::ffi;

/// The descriptors that a grant brings.
pub(crate) const MAX_FDS: usize = 3;

/// A header of 16 bytes and the descriptors, to a multiple of eight.
const CONTROL_WORDS: usize = (16 + MAX_FDS * 4 + 7) / 8;

/// One packet, and what came with it.
pub(crate) struct Packet {
    pub len: usize,
    pub fds: Vec<OwnedFd>,
    /// There was more than there was room for.
    pub truncated: bool,
}

pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// Connects. `limit` bounds this and every later call that waits, which then fails with WouldBlock.
    pub fn connect(path: &Path, limit: Duration) -> io::Result<Socket> {
        let path = path.as_os_str().as_bytes();
        let mut addr = ffi::SockaddrUn { family: ffi::AF_UNIX as u16, path: [0; 108] };
        if path.len() >= addr.path.len() || path.is_empty() || path.contains(&0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a socket's path has 1 to 107 bytes"));
        }
        addr.path[..path.len()].copy_from_slice(path);
        // SAFETY: the call takes no pointer.
        let fd = unsafe { ffi::socket(ffi::AF_UNIX, ffi::SOCK_SEQPACKET | ffi::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, so nobody else owns it.
        let socket = Socket(unsafe { OwnedFd::from_raw_fd(fd) });
        socket.limit(ffi::SO_RCVTIMEO, limit)?;
        socket.limit(ffi::SO_SNDTIMEO, limit)?; // of connect, too
                                                // SAFETY: the address is whole and lives through the call; the length is its own.
        check(unsafe { ffi::connect(fd, &addr, mem::size_of_val(&addr) as u32) } as isize)?;
        Ok(socket)
    }

    fn limit(&self, which: c_int, limit: Duration) -> io::Result<()> {
        let t = ffi::Timeval { sec: limit.as_secs() as c_long, usec: c_long::from(limit.subsec_micros()) };
        let len = mem::size_of_val(&t) as u32;
        // SAFETY: the option reads `len` bytes of `t`, which lives through the call.
        let rc = unsafe {
            ffi::setsockopt(self.0.as_raw_fd(), ffi::SOL_SOCKET, which, &t as *const _ as *const c_void, len)
        };
        check(rc as isize).map(drop)
    }

    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        // SAFETY: the kernel reads `len` bytes of a slice that lives through the call.
        let n =
            unsafe { ffi::send(self.0.as_raw_fd(), packet.as_ptr() as *const c_void, packet.len(), ffi::MSG_NOSIGNAL) };
        check(n).map(drop)
    }

    /// Receives one packet and at most MAX_FDS descriptors; the kernel closes those beyond.
    pub fn receive(&self, buf: &mut [u8]) -> io::Result<Packet> {
        let mut control = [0u64; CONTROL_WORDS]; // aligned as its headers ask
        let mut iov = ffi::Iovec { base: buf.as_mut_ptr() as *mut c_void, len: buf.len() };
        let mut msg = ffi::Msghdr {
            name: ptr::null_mut(),
            name_len: 0,
            iov: &mut iov,
            iov_len: 1,
            control: control.as_mut_ptr() as *mut c_void,
            control_len: mem::size_of_val(&control),
            flags: 0,
        };
        // SAFETY: every pointer in `msg` is to memory of the length that stands beside it, which nobody else
        // looks at until the call returns.
        let n = check(unsafe { ffi::recvmsg(self.0.as_raw_fd(), &mut msg, ffi::MSG_CMSG_CLOEXEC) })?;
        let fds = descriptors(&control, msg.control_len);
        Ok(Packet { len: n, fds, truncated: msg.flags & (ffi::MSG_TRUNC | ffi::MSG_CTRUNC) != 0 })
    }

    /// Whether the other end is gone. What it sent is thrown away, at most 64 packets of it.
    pub fn hung_up(&self) -> bool {
        let mut byte = 0u8;
        for _ in 0..64 {
            // SAFETY: one byte of room is there.
            let n = unsafe { ffi::recv(self.0.as_raw_fd(), &mut byte as *mut u8 as *mut c_void, 1, ffi::MSG_DONTWAIT) };
            match check(n) {
                Ok(0) => return true,
                Ok(_) => continue,
                Err(e) => match e.kind() {
                    io::ErrorKind::WouldBlock => return false,
                    io::ErrorKind::Interrupted => continue,
                    _ => return true,
                },
            }
        }
        false
    }

    pub fn fd(&self) -> &OwnedFd {
        &self.0
    }
}

/// Takes the descriptors out of the control messages. `used` is how many bytes the kernel says it wrote.
fn descriptors(control: &[u64; CONTROL_WORDS], used: usize) -> Vec<OwnedFd> {
    let mut bytes = [0u8; CONTROL_WORDS * 8];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(control) {
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    let number = |at: usize| i32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let used = used.min(bytes.len());
    // There is room for one message: its length (of 8 bytes), level, type, then descriptors.
    let len = if used >= 16 { (number(0) as usize).min(used) } else { 0 };
    if len < 16 || number(8) != ffi::SOL_SOCKET || number(12) != ffi::SCM_RIGHTS {
        return Vec::new();
    }
    (16..len - 3)
        .step_by(4)
        // SAFETY: the kernel has just installed the descriptor for this process, and nobody else knows of it.
        .map(|at| unsafe { OwnedFd::from_raw_fd(number(at)) })
        .collect()
}

fn check(n: isize) -> io::Result<usize> {
    if n < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(n as usize)
}
