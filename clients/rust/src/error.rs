// SPDX-License-Identifier: Apache-2.0

use std::fmt;
use std::io;

/// What an [`Error`] means. The text of the error names the thing, the cause and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nobody listens on the socket.
    NoSidecar,
    /// The file system does not let this user connect.
    Permission,
    /// The sidecar's rules do not let this user attach.
    NotAllowed,
    /// The sidecar has no ring or source of that name.
    NotFound,
    /// The sidecar accepts connections and says nothing.
    NoReply,
    /// Too many connections, or a consumer that was evicted and is barred for a while.
    Busy,
    /// The ring is just being replaced.
    TryAgain,
    /// The sidecar closed the connection.
    Hangup,
    /// The other side does not speak the protocol.
    Protocol,
    /// The sidecar refused for another reason.
    Refused,
    /// The ring's memory is not sealed: it could vanish, or be changed by others.
    Seals,
    /// The file is no ring.
    NotARing,
    /// The ring is of another major version.
    Version,
    /// The ring's header contradicts itself or the file.
    Geometry,
    /// The ring's content contradicts itself. Reading has ended.
    Corrupt,
    /// A frame could not be caught in a ring that does not move.
    Lapped,
    /// A Rust type does not describe a source's rows; see [`LayoutError`].
    Layout,
    /// A table would grow beyond its bound.
    TableFull,
    /// An operation of the system failed.
    Io,
}

/// Why something failed.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    text: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Error {
        Error { kind, text: text.into() }
    }

    pub(crate) fn io(what: impl fmt::Display, err: io::Error) -> Error {
        Error::new(ErrorKind::Io, format!("{}: {}", what, err))
    }

    /// What the error means.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// As people read it: a `main` that returns an error prints this.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// Where a Rust type and the rows of a source part ways.
#[derive(Clone, PartialEq, Eq)]
pub struct LayoutError {
    /// Name of the source.
    pub source: String,
    /// The Rust field by its path from the key or value: `value.bytes`; or `key`, `value` as a whole.
    pub field: String,
    /// Bytes from the start of the key or value to that field.
    pub offset: usize,
    /// The C field that lies there, with its type.
    pub c: String,
    /// What differs, and what to do about it.
    pub reason: String,
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "source {:?}: Rust {} (offset {}) and C {}: {}",
            self.source, self.field, self.offset, self.c, self.reason
        )
    }
}

/// As people read it: a `main` that returns an error prints this.
impl fmt::Debug for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for LayoutError {}

impl From<LayoutError> for Error {
    fn from(e: LayoutError) -> Error {
        Error::new(ErrorKind::Layout, e.to_string())
    }
}
