// SPDX-License-Identifier: Apache-2.0

//! Asking a sidecar for a ring (protocol 7 and 8).

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::io::OwnedFd;
use std::path::Path;
use std::time::Duration;

use crate::cursor::Position;
use crate::error::{Error, ErrorKind};
use crate::layout::Bytes;
use crate::options::{Options, Start};
use crate::page::Page;
use crate::ring::Ring;
use crate::sys::file;
use crate::sys::socket::{Packet, Socket, MAX_FDS};

/// How long a sidecar may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

const HEAD: [u8; 4] = *b"RSH1";
const VERSION: u16 = 1;
const ATTACH: u16 = 1;
const ATTACH_BYTES: usize = 288;
const ANSWER: u16 = 0x8000;
const ANSWER_BYTES: usize = 32;
const PACKET_BYTES: usize = ANSWER_BYTES + 32768;
const GRANT_BYTES: usize = 48;

/// A ring that a sidecar lends, for as long as the socket is open.
pub(crate) struct Grant {
    pub ring: Ring,
    pub page: Page,
    pub bell: OwnedFd,
    pub socket: Socket,
    pub position: Position,
    pub source: u16,
}

/// Connects and asks, once.
pub(crate) fn attach(options: &Options, start: Start) -> Result<Grant, Error> {
    let path = options.socket.as_path();
    let request = request(options, start)?;
    let socket = Socket::connect(path, PATIENCE).map_err(|e| explain(path, e))?;
    if let Err(e) = socket.send(&request) {
        if !hung_up(&e) {
            return Err(failed(path, e));
        } // else it may have said why, first
    }
    let mut buf = vec![0; PACKET_BYTES];
    let packet = match socket.receive(&mut buf) {
        // The kernel says so once, before it hands out what the sidecar sent.
        Err(e) if e.raw_os_error() == Some(ECONNRESET) => socket.receive(&mut buf),
        other => other,
    };
    let packet = packet.map_err(|e| failed(path, e))?;
    let payload = answer(path, &buf, &packet)?;
    take(path, payload, packet.fds, socket)
}

fn request(o: &Options, start: Start) -> Result<[u8; ATTACH_BYTES], Error> {
    let mut r = [0; ATTACH_BYTES];
    r[..4].copy_from_slice(&HEAD);
    r[4..6].copy_from_slice(&ATTACH.to_le_bytes());
    r[6..8].copy_from_slice(&VERSION.to_le_bytes());
    let start: u32 = match start {
        Start::Default | Start::Keyframe => 0,
        Start::Oldest => 1,
        Start::Head => 2,
        Start::Beginning => {
            return Err(Error::new(ErrorKind::Refused, "only files are read from the beginning"));
        }
    };
    r[8..12].copy_from_slice(&start.to_le_bytes());
    for (what, name, at, room) in
        [("ring", &o.ring, 16, 64), ("consumer", &o.name, 80, 64), ("source", &o.source, 144, 128)]
    {
        if name.len() >= room || name.bytes().any(|b| b == 0) {
            let text = format!("{} name {:?} is too long: at most {} bytes, none of them 0", what, name, room - 1);
            return Err(Error::new(ErrorKind::Refused, text));
        }
        r[at..at + name.len()].copy_from_slice(name.as_bytes());
    }
    Ok(r)
}

/// The payload of an answer that grants what was asked for.
fn answer<'a>(path: &Path, buf: &'a [u8], packet: &Packet) -> Result<&'a [u8], Error> {
    let protocol = |what: &str| {
        Error::new(ErrorKind::Protocol, format!("socket {}: not the ringside protocol: {}", path.display(), what))
    };
    if packet.len == 0 {
        return Err(Error::new(
            ErrorKind::Hangup,
            format!("socket {}: the sidecar hung up; try again later", path.display()),
        ));
    }
    if packet.truncated {
        return Err(protocol("an answer is larger than it may be"));
    }
    if packet.len < ANSWER_BYTES || buf[..4] != HEAD {
        return Err(protocol("an answer does not begin with RSH1"));
    }
    let b = Bytes(buf);
    let (kind, version, status, length) = (b.u16(4), b.u16(6), b.u32(8), b.u32(12) as usize);
    if version != VERSION {
        return Err(protocol(&format!("version {}, this client speaks {}", version, VERSION)));
    }
    if length != packet.len - ANSWER_BYTES {
        return Err(protocol("an answer's length is not its packet's"));
    }
    let payload = &buf[ANSWER_BYTES..packet.len];
    if status != 0 {
        return Err(refusal(path, status as i32, payload));
    }
    if kind != ANSWER + ATTACH || b.u64(16) != length as u64 || b.u64(24) != 0 || length < GRANT_BYTES {
        return Err(protocol("the answer is no grant"));
    }
    Ok(payload)
}

/// What the number of a refusal means to a client.
fn refusal(path: &Path, errno: i32, text: &[u8]) -> Error {
    let kind = match errno {
        EPERM | EACCES => ErrorKind::NotAllowed,
        ENOENT => ErrorKind::NotFound,
        EAGAIN => ErrorKind::TryAgain,
        EBUSY | EUSERS => ErrorKind::Busy,
        EPROTO | EPROTONOSUPPORT => ErrorKind::Protocol,
        _ => ErrorKind::Refused,
    };
    let mut text = String::from_utf8_lossy(&text[..text.len().min(1024)]).into_owned();
    if text.is_empty() {
        text = io::Error::from_raw_os_error(errno).to_string();
    }
    Error::new(kind, format!("sidecar at {}: {}", path.display(), text))
}

/// Maps what was lent and holds it against what was said about it. Whatever fails, everything is closed.
fn take(path: &Path, payload: &[u8], fds: Vec<OwnedFd>, socket: Socket) -> Result<Grant, Error> {
    let mut fds = fds.into_iter();
    let (ring, page, bell) = match (fds.next(), fds.next(), fds.next()) {
        (Some(ring), Some(page), Some(bell)) => (File::from(ring), File::from(page), bell),
        _ => {
            let text = format!(
                "socket {}: fewer than {} descriptors came with the grant: use a client of the sidecar's version",
                path.display(),
                MAX_FDS
            );
            return Err(Error::new(ErrorKind::Protocol, text));
        }
    };
    let b = Bytes(payload);
    let ring = Ring::map(&ring)?;
    let page = Page::map(&page)?;
    let (epoch, bytes) = (b.u64(8), b.u64(40));
    if ring.geometry.epoch != epoch || ring.geometry.total_bytes != bytes {
        let text = format!(
            "socket {}: the sidecar grants epoch {:#x} of {} bytes, the ring is epoch {:#x} of {}",
            path.display(),
            epoch,
            bytes,
            ring.geometry.epoch,
            ring.geometry.total_bytes
        );
        return Err(Error::new(ErrorKind::Protocol, text));
    }
    let position = Position { offset: b.u64(16), seq: b.u64(24), rows: b.u64(32) };
    Ok(Grant { ring, page, bell, socket, position, source: b.u16(0) })
}

fn hung_up(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(EPIPE | ECONNRESET))
}

fn failed(path: &Path, e: io::Error) -> Error {
    let path = path.display();
    if e.kind() == io::ErrorKind::WouldBlock {
        let text = format!("socket {}: it accepts, but nobody replies: the sidecar hangs or is stopped; look at its process and its log", path);
        return Error::new(ErrorKind::NoReply, text);
    }
    if hung_up(&e) {
        return Error::new(ErrorKind::Hangup, format!("socket {}: the sidecar hung up; try again later", path));
    }
    Error::io(format!("socket {}", path), e)
}

/// Why a connection could not be made, and what to do about it.
fn explain(path: &Path, e: io::Error) -> Error {
    let shown = path.display();
    let no_sidecar = |what| {
        Error::new(
            ErrorKind::NoSidecar,
            format!("socket {}: no sidecar: {}; is `ringside serve` running, and with this --socket?", shown, what),
        )
    };
    match e.raw_os_error() {
        Some(ENOENT | ENOTDIR) => no_sidecar("there is no such file"),
        Some(ECONNREFUSED) => no_sidecar("nobody listens on it"),
        Some(EPROTOTYPE) => Error::new(ErrorKind::Protocol, format!("socket {}: it belongs to another program", shown)),
        Some(EACCES | EPERM) => explain_permission(path),
        _ => failed(path, e),
    }
}

/// Finds what kept this process out: the socket's mode or a directory above it.
fn explain_permission(path: &Path) -> Error {
    let uid = file::effective_uid();
    let mut at = path;
    let found = loop {
        match (fs::metadata(at), at.parent()) {
            (Ok(meta), _) => break Some(meta),
            (Err(e), Some(parent)) if e.kind() == io::ErrorKind::PermissionDenied => at = parent,
            _ => break None,
        }
    };
    let text = match found {
        Some(meta) if at == path && meta.mode() & 0o777 == 0 => {
            return Error::new(
                ErrorKind::NoSidecar,
                format!("socket {}: no sidecar: it is just starting; try again", path.display()),
            );
        }
        Some(meta) => {
            let remedy = if at == path {
                format!("start `ringside serve` with --allow-uid {}", uid)
            } else {
                "it must be searchable (chmod o+x, or the right group)".to_string()
            };
            let (mode, owner, group) = (meta.mode() & 0o777, meta.uid(), meta.gid());
            format!(
                "{} has mode {:04o}, owner uid {} gid {}, own uid {}; {}",
                at.display(),
                mode,
                owner,
                group,
                uid,
                remedy
            )
        }
        None => format!("own uid {}", uid),
    };
    Error::new(ErrorKind::Permission, format!("socket {}: permission denied: {}", path.display(), text))
}

// Errnos of Linux, the same on every architecture that has this protocol's byte order but mips and alpha.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EAGAIN: i32 = 11;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const ENOTDIR: i32 = 20;
const EPIPE: i32 = 32;
const EPROTO: i32 = 71;
const EUSERS: i32 = 87;
const EPROTOTYPE: i32 = 91;
const EPROTONOSUPPORT: i32 = 93;
const ECONNRESET: i32 = 104;
const ECONNREFUSED: i32 = 111;
