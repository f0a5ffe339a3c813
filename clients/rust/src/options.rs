// SPDX-License-Identifier: Apache-2.0

use std::env;
use std::path::{Path, PathBuf};

/// Where the sidecar listens if nothing else is said.
pub const DEFAULT_SOCKET: &str = "/run/ringside/ringside.sock";
/// The ring if nothing else is said.
pub const DEFAULT_RING: &str = "main";
/// The environment variable that replaces [`DEFAULT_SOCKET`].
pub const SOCKET_ENV: &str = "RINGSIDE_SOCKET";

/// Where reading begins, and where it goes on after the ring has overtaken the reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    /// A sidecar's ring: as `Keyframe`. A file: as `Oldest`.
    #[default]
    Default,
    /// At the newest complete scan that is still in the ring: the current content of a map comes at once.
    Keyframe,
    /// As far back as is safe.
    Oldest,
    /// With what is published next.
    Head,
    /// At position 0, overwritten or not. Only files have it.
    Beginning,
}

/// What to attach to. The default is the default ring of the default sidecar, all its sources, from the newest
/// keyframe.
///
/// ```
/// let options = ringside::Options { source: "flows".into(), ..Default::default() };
/// ```
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Path of the socket. Empty: `$RINGSIDE_SOCKET`, and without it [`DEFAULT_SOCKET`].
    pub socket: PathBuf,
    /// Name of the ring. Empty: [`DEFAULT_RING`].
    pub ring: String,
    /// This consumer's own name, for `ringside status`. Empty: the program's.
    pub name: String,
    /// Only the rows of the source of this name. Empty: all.
    pub source: String,
    /// Where to begin.
    pub start: Start,
    /// Never sleep while there is nothing to read, but look at the ring again and again: the least delay, no
    /// system call, and a CPU of its own.
    pub busy: bool,
}

impl Options {
    pub(crate) fn with_defaults(mut self) -> Options {
        if self.socket.as_os_str().is_empty() {
            self.socket =
                env::var_os(SOCKET_ENV).filter(|s| !s.is_empty()).map_or_else(|| DEFAULT_SOCKET.into(), PathBuf::from);
        }
        if self.ring.is_empty() {
            self.ring = DEFAULT_RING.into();
        }
        if self.name.is_empty() {
            let program = env::args_os().next().unwrap_or_default();
            let name = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.name = name.chars().filter(|c| c.is_ascii_graphic()).take(63).collect();
            // the room there is for it
        }
        self
    }
}
