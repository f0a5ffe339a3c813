// SPDX-License-Identifier: Apache-2.0

//! The current content of a map, kept from the stream.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::batch::{Batch, Kind};
use crate::error::{Error, ErrorKind};
use crate::row::Plain;
use crate::source::Source;
use crate::subscription::Subscription;

/// How long to wait for a keyframe before it is asked for again.
const PATIENCE: Duration = Duration::from_secs(2);

/// The current content of a map.
///
/// It is *fresh* when it is what the map was as of its newest whole scan. What makes it *stale* is a loss on the
/// ring, a restart, or a scan that broke off; it keeps its last content then, and becomes fresh again with the
/// next keyframe, which [`follow`](Table::follow) asks for. A scan takes effect as a whole, when its last frame
/// has come.
///
/// Memory: at most `limit` rows, twice (a keyframe is gathered beside the content it replaces), and the changes
/// of one scan.
///
/// ```no_run
/// # ringside::row! { #[derive(Eq, Hash)] struct Key { id: u32 } struct Stats { packets: u64, bytes: u64 } }
/// # fn main() -> Result<(), ringside::Error> {
/// let mut sub = ringside::Subscription::attach(ringside::Options { source: "flows".into(), ..Default::default() })?;
/// let mut table = ringside::Table::<Key, Stats>::new("flows");
/// while table.follow(&mut sub)? {
///     println!("{} flows, fresh: {}", table.len(), table.is_fresh());
/// }
/// # Ok(()) }
/// ```
pub struct Table<K, V> {
    source: String,
    limit: Option<usize>,
    rows: HashMap<K, V>,
    fresh: bool,
    /// Scan and time of the content.
    scan: u64,
    time_ns: u64,
    /// The source that is followed, and the number expected of its next frame.
    number: Option<u16>,
    next: u32,
    open: Option<Open>,
    /// What the open scan has brought.
    shadow: HashMap<K, V>,
    changes: Vec<(K, Option<V>)>,
    asked: Option<Instant>,
}

/// A scan whose last frame has not come yet.
#[derive(Clone, Copy)]
struct Open {
    scan: u64,
    keyframe: bool,
}

impl<K: Plain + Eq + Hash, V: Plain> Table<K, V> {
    /// A table of the source of that name: empty, and stale. It takes at most four times as many rows from a scan
    /// as the map can have at once: one of a map that changes may see more than were there at any time, and it tells
    /// of those, too, that are gone since two scans.
    pub fn new(source: &str) -> Table<K, V> {
        Table {
            source: source.into(),
            limit: None,
            rows: HashMap::new(),
            fresh: false,
            scan: 0,
            time_ns: 0,
            number: None,
            next: 0,
            open: None,
            shadow: HashMap::new(),
            changes: Vec::new(),
            asked: None,
        }
    }

    /// The same with another bound.
    pub fn with_limit(source: &str, limit: usize) -> Table<K, V> {
        Table { limit: Some(limit), ..Table::new(source) }
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// All keys and values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether the content is that of the newest whole scan.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// The scan that the content is of.
    pub fn scan(&self) -> u64 {
        self.scan
    }

    /// CLOCK_MONOTONIC of that scan's end.
    pub fn time_ns(&self) -> u64 {
        self.time_ns
    }

    /// Reads on until the table has changed or become stale. While it is stale, keyframes are asked for. False: a
    /// ring in a file was read to its end. Batches of other sources are skipped; a program that wants them loops
    /// over [`Subscription::next`] itself and calls [`apply`](Table::apply).
    pub fn follow(&mut self, sub: &mut Subscription) -> Result<bool, Error> {
        loop {
            let was_fresh = self.fresh;
            let changed = match sub.next()? {
                None => return Ok(false),
                Some(batch) => self.apply(&batch)?,
            };
            self.ask(sub);
            if changed || was_fresh != self.fresh {
                return Ok(true);
            }
        }
    }

    /// Asks for a keyframe if the table is stale and none is coming.
    pub fn ask(&mut self, sub: &Subscription) {
        if self.fresh || matches!(self.open, Some(Open { keyframe: true, .. })) {
            self.asked = None;
            return;
        }
        if self.number.is_some() && self.asked.map_or(true, |at| at.elapsed() >= PATIENCE) {
            sub.ask_number(self.number);
            self.asked = Some(Instant::now());
        }
    }

    /// Takes over what a batch tells, and says whether a scan took effect. An error ([`ErrorKind::Layout`],
    /// [`ErrorKind::TableFull`]) leaves the table stale.
    pub fn apply(&mut self, batch: &Batch<'_>) -> Result<bool, Error> {
        match (batch.kind, batch.source()) {
            (Kind::Lost, _) => self.stale(),
            (Kind::Restart, _) => {
                self.stale();
                self.number = None; // sources of another ring have other numbers
            }
            (Kind::Rows | Kind::Deletes, Some(source)) if source.name == self.source => {
                let result = self.frame(batch, source);
                if result.is_err() {
                    self.stale();
                }
                return result;
            }
            _ => {}
        }
        Ok(false)
    }

    fn stale(&mut self) {
        self.fresh = false;
        self.drop_open();
    }

    fn drop_open(&mut self) {
        self.open = None;
        self.shadow.clear();
        self.changes.clear();
    }

    fn frame(&mut self, batch: &Batch<'_>, source: &Source) -> Result<bool, Error> {
        match self.number {
            Some(number) if number > source.number => return Ok(false), // a map that was replaced, on its way out
            Some(number) if number == source.number && self.next == batch.source_seq => {}
            _ => self.stale(), // another map, or frames are missing
        }
        self.number = Some(source.number);
        self.next = batch.source_seq.wrapping_add(1);
        if batch.first {
            if self.open.is_some() {
                self.stale(); // the scan before broke off
            }
            self.open = Some(Open { scan: batch.scan, keyframe: batch.keyframe });
        }
        match self.open {
            Some(open) if open.scan == batch.scan && open.keyframe == batch.keyframe => {}
            _ => {
                self.stale();
                return Ok(false);
            }
        }
        self.gather(batch, source)?;
        Ok(batch.last && self.finish(batch))
    }

    /// Keeps a frame of the open scan until the last one has come.
    fn gather(&mut self, batch: &Batch<'_>, source: &Source) -> Result<(), Error> {
        let limit = self.limit.unwrap_or_else(|| (source.max_entries as usize).saturating_mul(4));
        if batch.keyframe {
            if batch.kind == Kind::Rows {
                self.shadow.extend(batch.rows::<K, V>()?);
            } // deletes are keys that the scan before still held, and it is replaced
        } else if self.fresh {
            match batch.kind {
                Kind::Deletes => self.changes.extend(batch.keys::<K>()?.map(|k| (k, None))),
                _ => self.changes.extend(batch.rows::<K, V>()?.map(|(k, v)| (k, Some(v)))),
            }
        } // else there is nothing that the changes could be applied to
        let gathered = self.shadow.len().max(self.changes.len());
        if gathered > limit {
            let text = format!(
                "table of source {:?}: a scan has {} rows, the limit is {}: raise it",
                self.source, gathered, limit
            );
            return Err(Error::new(ErrorKind::TableFull, text));
        }
        Ok(())
    }

    /// Lets a whole scan take effect.
    fn finish(&mut self, batch: &Batch<'_>) -> bool {
        if batch.keyframe {
            std::mem::swap(&mut self.rows, &mut self.shadow);
            self.fresh = true;
        } else if self.fresh {
            for (key, value) in self.changes.drain(..) {
                match value {
                    Some(value) => self.rows.insert(key, value),
                    None => self.rows.remove(&key),
                };
            }
        }
        self.drop_open();
        if self.fresh {
            self.scan = batch.scan;
            self.time_ns = batch.time_ns;
        }
        self.fresh
    }
}
