// SPDX-License-Identifier: Apache-2.0

//! The sidecar's heartbeat: how its death is noticed while there is always something to read, and a life that is
//! none, of which no socket tells.

use std::time::{Duration, Instant};

/// How long the heartbeat may stand still before the socket is asked.
const SILENCE: Duration = Duration::from_millis(500);
/// How long it may stand still while the socket says that all is well.
const HANG: Duration = Duration::from_secs(2);

/// What counts is how long the heartbeat has not changed, by this process's own watch. Its value is a time, too,
/// but perhaps of another time namespace. Looking makes no system call.
#[derive(Default)]
pub(crate) struct Pulse {
    beat: u64,
    /// When `beat` was first seen, and when the socket was asked since.
    since: Option<(Instant, Instant)>,
    /// The sidecar hangs, and that was told.
    pub hanging: bool,
}

pub(crate) struct Felt {
    /// It is late: ask the socket. At most every SILENCE.
    pub late: bool,
    /// It has stopped.
    pub stopped: bool,
}

impl Pulse {
    pub fn feel(&mut self, beat: u64) -> Felt {
        let now = Instant::now();
        match &mut self.since {
            Some((changed, asked)) if beat == self.beat => {
                let late = now.duration_since(*asked) >= SILENCE;
                if late {
                    *asked = now;
                }
                Felt { late, stopped: now.duration_since(*changed) >= HANG }
            }
            since => {
                *since = Some((now, now));
                self.beat = beat;
                Felt { late: false, stopped: false }
            }
        }
    }
}
