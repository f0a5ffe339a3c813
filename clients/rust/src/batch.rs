// SPDX-License-Identifier: Apache-2.0

//! Batches: steps of the stream.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::LayoutError;
use crate::events::{EventTable, Events};
use crate::frame::Header;
use crate::layout::{frame, FRAME_HEADER};
use crate::row::Plain;
use crate::rows::{Keys, PerCpu, Rows};
use crate::source::Source;
use crate::sys::bytes_of;
use crate::sys::strided::Strided;
use crate::Place;

/// What a batch tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Keys with their values, as one read of the map gave them.
    Rows,
    /// Keys that are no longer in the map.
    Deletes,
    /// Records of a ring buffer, in order.
    Events,
    /// The ring overtook this reader: `lost` was missed before the batch that follows.
    Lost,
    /// The sidecar is gone, told within a second. Rows that it had published may still follow, and a restart
    /// does once a sidecar is back.
    Gone,
    /// The sidecar is there and gives no sign of life: it hangs or is stopped. Told once, after two to three
    /// seconds; when it goes on, so do the rows.
    Hangs,
    /// Attached again, to a new ring. `lost` says what of the new ring was missed, and whether that is all.
    /// Sources have new numbers, their `scan` and `seq` begin again.
    Restart,
    /// A lossless ring no longer waits for this consumer, who was too slow. It reads on as from a lossy ring;
    /// told once, before any loss.
    Evicted,
}

impl Kind {
    /// The kind's name, the same in every language.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Rows => "rows",
            Kind::Deletes => "deletes",
            Kind::Events => "events",
            Kind::Lost => "lost",
            Kind::Gone => "gone",
            Kind::Hangs => "hangs",
            Kind::Restart => "restart",
            Kind::Evicted => "evicted",
        }
    }

    /// The kind of a frame that is a batch.
    pub(crate) fn of(frame_kind: u8) -> Option<Kind> {
        match frame_kind {
            frame::ROWS => Some(Kind::Rows),
            frame::DELETES => Some(Kind::Deletes),
            frame::EVENTS => Some(Kind::Events),
            _ => None,
        }
    }
}

/// What a reader did not get. It counts the ring, whose frames belong to all of its sources: nobody can tell what
/// a frame held that was never seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loss {
    /// Frames that were missed.
    pub frames: u64,
    /// Rows in them.
    pub rows: u64,
    /// False when more may have been lost than can be counted: the sidecar ended without saying goodbye.
    pub exact: bool,
}

/// One step of the stream: the rows of one frame, or a remark about the stream itself. As a lease
/// ([`Subscription::view`](crate::Subscription::view)) its rows are the ring's own bytes, which the sidecar may
/// overwrite at any time; so they can be loaded and copied, and never referred to.
///
/// It can be shared with other threads while it lives.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// What it tells. Only rows, deletes and events have a source and content.
    pub kind: Kind,
    /// How many rows, keys or records there are.
    pub rows: usize,
    /// Number of the frame in its ring.
    pub seq: u64,
    /// Number of the frame among those of its source.
    pub source_seq: u32,
    /// Number of the scan of its source.
    pub scan: u64,
    /// CLOCK_MONOTONIC when the rows had been read, or the events were published.
    pub time_ns: u64,
    /// First batch of a scan.
    pub first: bool,
    /// Last batch of a scan; it may hold no rows.
    pub last: bool,
    /// The scan is complete in itself, not a set of changes.
    pub keyframe: bool,
    /// Of a loss or restart.
    pub lost: Loss,

    source: Option<&'a Arc<Source>>,
    payload: Place<'a>,
    header: Header,
    realtime_offset_ns: i64,
}

impl<'a> View<'a> {
    /// A batch without content.
    pub(crate) fn remark(kind: Kind, lost: Loss) -> View<'a> {
        View::new(kind, None, Header::default(), Place::of_words(&[], 0), 0, lost)
    }

    /// The batch of a frame that the cursor has checked.
    pub(crate) fn frame(
        kind: Kind,
        source: Option<&'a Arc<Source>>,
        header: Header,
        payload: Place<'a>,
        realtime_offset_ns: i64,
    ) -> View<'a> {
        View::new(kind, source, header, payload, realtime_offset_ns, Loss::default())
    }

    fn new(
        kind: Kind,
        source: Option<&'a Arc<Source>>,
        h: Header,
        payload: Place<'a>,
        realtime_offset_ns: i64,
        lost: Loss,
    ) -> View<'a> {
        View {
            kind,
            rows: h.rows as usize,
            seq: h.seq,
            source_seq: h.src_seq,
            scan: h.scan,
            time_ns: h.time_ns,
            first: h.flags & frame::FIRST != 0,
            last: h.flags & frame::LAST != 0,
            keyframe: h.flags & frame::KEYFRAME != 0,
            lost,
            source,
            payload,
            header: h,
            realtime_offset_ns,
        }
    }

    /// The source of rows, deletes and events.
    pub fn source(&self) -> Option<&'a Arc<Source>> {
        self.source
    }

    /// The source's name; empty for remarks.
    pub fn source_name(&self) -> &'a str {
        self.source.map_or("", |s| s.name.as_str())
    }

    /// The time of day of `time_ns`.
    pub fn time(&self) -> SystemTime {
        let ns = (self.time_ns as i64).wrapping_add(self.realtime_offset_ns);
        UNIX_EPOCH + Duration::from_nanos(ns.max(0) as u64)
    }

    /// The rows, as `K` and `V`, which are held against the map's own types the first time. Of a batch that is
    /// no rows there are none. A map that is per CPU has [`rows_per_cpu`](View::rows_per_cpu).
    ///
    /// ```no_run
    /// # ringside::row! { struct Key { id: u32 } struct Stats { packets: u64, bytes: u64 } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut sub = ringside::Subscription::attach(Default::default())?;
    /// while let Some(batch) = sub.next()? {
    ///     for (key, stats) in batch.rows::<Key, Stats>()? {
    ///         println!("{} {}", key.id, stats.bytes);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn rows<K: Plain, V: Plain>(&self) -> Result<Rows<'a, K, V>, LayoutError> {
        match self.source.filter(|_| self.kind == Kind::Rows) {
            Some(source) => source.check::<K, V>(false)?,
            None => return Ok(Rows::none()),
        }
        Ok(Rows::new(self.key_column(), self.value_column()))
    }

    /// The rows of a map that keeps a value for each CPU; `V` is one CPU's.
    pub fn rows_per_cpu<K: Plain, V: Plain>(&self) -> Result<PerCpu<'a, K, V>, LayoutError> {
        match self.source.filter(|_| self.kind == Kind::Rows) {
            Some(source) => {
                source.check::<K, V>(true)?;
                Ok(PerCpu::new(self.key_column(), self.value_column(), source.cpus))
            }
            None => Ok(PerCpu::none()),
        }
    }

    /// The keys of rows or deletes.
    pub fn keys<K: Plain>(&self) -> Result<Keys<'a, K>, LayoutError> {
        if let Some(source) = self.source {
            source.check_key::<K>()?;
        }
        Ok(Keys::new(self.key_column()))
    }

    /// The records of events, as `E`; None for one that is shorter than an `E`, or torn.
    pub fn events<E: Plain>(&self) -> Result<Events<'a, E>, LayoutError> {
        if let Some(source) = self.source {
            source.check_event::<E>()?;
        }
        Ok(Events::new(self.event_table()))
    }

    /// Key `i < rows`, as bytes.
    pub fn key_at(&self, i: usize) -> Place<'a> {
        self.key_column().get(i)
    }

    /// Value `i < rows`, as bytes, those of all CPUs. Only rows have values.
    pub fn value_at(&self, i: usize) -> Place<'a> {
        self.value_column().get(i)
    }

    /// Record `i < rows`, as bytes. None if the table does not name bytes of the frame, which a table that is
    /// just being overwritten may not.
    pub fn event_at(&self, i: usize) -> Option<Place<'a>> {
        self.event_table().get(i)
    }

    pub(crate) fn event_table(&self) -> EventTable<'a> {
        let rows = if self.kind == Kind::Events { self.rows } else { 0 };
        EventTable::new(self.payload, in_payload(self.header.keys_off), rows)
    }

    #[inline]
    fn key_column(&self) -> Strided<'a> {
        let rows = if matches!(self.kind, Kind::Rows | Kind::Deletes) { self.header.rows } else { 0 };
        let size = self.source.map_or(0, |s| s.key_size);
        Strided::new(
            self.payload,
            in_payload(self.header.keys_off),
            self.header.key_stride as usize,
            size,
            rows as usize,
        )
    }

    #[inline]
    fn value_column(&self) -> Strided<'a> {
        let rows = if self.kind == Kind::Rows { self.header.rows } else { 0 };
        let size = self.source.map_or(0, |s| s.value_size);
        Strided::new(
            self.payload,
            in_payload(self.header.values_off),
            self.header.value_stride as usize,
            size,
            rows as usize,
        )
    }
}

/// Offsets of a frame count from its header. The cursor has checked that they lie beyond it if there are rows.
fn in_payload(offset: u32) -> usize {
    (offset as usize).saturating_sub(FRAME_HEADER)
}

/// A [`View`] of a private copy: whole, and unchanged until the next step of the loop. So its bytes can be
/// referred to as well.
pub struct Batch<'a> {
    view: View<'a>,
    bytes: &'a [u8],
}

impl<'a> Deref for Batch<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl<'a> Batch<'a> {
    pub(crate) fn remark(kind: Kind, lost: Loss) -> Batch<'a> {
        Batch { view: View::remark(kind, lost), bytes: &[] }
    }

    /// `words` begin with the frame's payload.
    pub(crate) fn frame(
        kind: Kind,
        source: Option<&'a Arc<Source>>,
        header: Header,
        words: &'a [u64],
        realtime_offset_ns: i64,
    ) -> Batch<'a> {
        let len = (header.length as usize).saturating_sub(FRAME_HEADER);
        let payload = Place::of_words(words, len);
        Batch { view: View::frame(kind, source, header, payload, realtime_offset_ns), bytes: bytes_of(words, len) }
    }

    /// The bytes of key `i < rows` of rows or deletes.
    pub fn key(&self, i: usize) -> &'a [u8] {
        self.cell(i, self.view.header.keys_off, self.view.header.key_stride, self.view.source.map_or(0, |s| s.key_size))
    }

    /// The bytes of value `i < rows` of rows, those of all CPUs.
    pub fn value(&self, i: usize) -> &'a [u8] {
        assert!(self.view.kind == Kind::Rows, "only rows have values");
        self.cell(
            i,
            self.view.header.values_off,
            self.view.header.value_stride,
            self.view.source.map_or(0, |s| s.value_size),
        )
    }

    fn cell(&self, i: usize, offset: u32, stride: u32, size: usize) -> &'a [u8] {
        assert!(
            i < self.view.header.rows as usize && self.view.kind != Kind::Events,
            "row {} of a batch of {}",
            i,
            self.view.rows
        );
        let at = in_payload(offset) + i * stride as usize;
        &self.bytes[at..at + size]
    }

    /// The bytes of record `i < rows` of events.
    pub fn event(&self, i: usize) -> &'a [u8] {
        // Every entry was checked when the frame was copied.
        self.view.event_table().range(i).map_or(&[], |(at, len)| &self.bytes[at..at + len])
    }

    /// A copy that owns everything, to keep or to send to another thread.
    pub fn to_owned(&self) -> OwnedBatch {
        let mut words = vec![0; (self.bytes.len() + 7) / 8];
        if self.bytes.len() % 8 == 0 {
            self.view.payload.copy_to_words(&mut words);
        }
        OwnedBatch {
            kind: self.view.kind,
            lost: self.view.lost,
            source: self.view.source.cloned(),
            header: self.view.header,
            words,
            realtime_offset_ns: self.view.realtime_offset_ns,
        }
    }
}

/// A batch that borrows nothing; see [`Batch::to_owned`].
pub struct OwnedBatch {
    kind: Kind,
    lost: Loss,
    source: Option<Arc<Source>>,
    header: Header,
    words: Vec<u64>,
    realtime_offset_ns: i64,
}

impl OwnedBatch {
    /// The batch.
    pub fn batch(&self) -> Batch<'_> {
        match &self.source {
            Some(source) => Batch::frame(self.kind, Some(source), self.header, &self.words, self.realtime_offset_ns),
            None => Batch::remark(self.kind, self.lost),
        }
    }
}
