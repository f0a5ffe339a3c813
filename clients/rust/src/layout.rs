// SPDX-License-Identifier: Apache-2.0

//! Where everything lies: the tables of docs/protocol.md, and nothing else.

pub(crate) const ABI_MAJOR: u16 = 1;
pub(crate) const PAGE: usize = 4096;
pub(crate) const FRAME_HEADER: usize = 64;
pub(crate) const RECORD: usize = 512;
pub(crate) const MIN_DATA: u64 = 4096;
pub(crate) const MAX_DATA: u64 = 1 << 32;

/// Offsets in the header page.
pub(crate) mod header {
    pub const MAGIC: &[u8; 8] = b"RINGSIDE";
    pub const ABI_MAJOR: usize = 8;
    pub const HEADER_BYTES: usize = 12;
    pub const TOTAL_BYTES: usize = 16;
    pub const EPOCH: usize = 24;
    pub const CONTROL_OFF: usize = 40;
    pub const CONTROL_BYTES: usize = 48;
    pub const CATALOG_OFF: usize = 56;
    pub const CATALOG_RECORDS: usize = 64;
    pub const RECORD_BYTES: usize = 68;
    pub const HEAP_OFF: usize = 72;
    pub const HEAP_BYTES: usize = 80;
    pub const DATA_OFF: usize = 88;
    pub const DATA_BYTES: usize = 96;
    pub const LARGEST_FRAME: usize = 104;
    pub const CHECKSUM: usize = 176;
}

/// Offsets of words in the file: those of the control page, which follows the header.
pub(crate) mod control {
    use super::PAGE;
    pub const HW: usize = PAGE;
    pub const HEAD: usize = PAGE + 128;
    pub const TAIL: usize = PAGE + 256;
    pub const LAST: usize = PAGE + 384;
    pub const HEARTBEAT_NS: usize = PAGE + 512;
    pub const STATE: usize = PAGE + 640;
    pub const REALTIME_OFFSET_NS: usize = PAGE + 768;
    pub const CATALOG_LEN: usize = PAGE + 896;

    /// The state in which frames may follow.
    pub const LIVE: u64 = 1;
    /// The state in which a ring has no successor.
    pub const ENDED: u64 = 3;
}

/// Offsets in a catalog record.
pub(crate) mod record {
    pub const NUMBER: usize = 0;
    pub const MAP_ID: usize = 4;
    pub const MAP_TYPE: usize = 8;
    pub const KEY_SIZE: usize = 12;
    pub const VALUE_SIZE: usize = 16;
    pub const MAP_VALUE_SIZE: usize = 20;
    pub const CPUS: usize = 24;
    pub const FLAGS: usize = 28;
    pub const MAX_ENTRIES: usize = 32;
    pub const SCHEMA_LEN: usize = 36;
    pub const SCHEMA_OFF: usize = 40;
    pub const NAME: usize = 64;
    pub const NAME_BYTES: usize = 128;
    /// From here on the record changes: only words are read.
    pub const FIXED_BYTES: usize = 256;
    pub const STATE: usize = 256;
    pub const KEYFRAME_POS: usize = 264;
    pub const SUPERSEDED_BY: usize = 272;

    pub const PER_CPU: u32 = 1;
    pub const LOCKED_SCAN: u32 = 2;
    pub const LOCKED_VALUE: u32 = 4;
    pub const MAP_IDS: u32 = 8;
    pub const EVENTS: u32 = 16;
    pub const CHANGES: u32 = 32;

    /// The state of a source that another one has replaced.
    pub const SUPERSEDED: u64 = 2;
}

/// Offsets of words in the consumer's page.
pub(crate) mod page {
    pub const CURSOR: usize = 0;
    pub const SLEEP: usize = 128;
    pub const NEXT_SEQ: usize = 256;
    pub const NEXT_ROWS: usize = 264;
    pub const LOST_FRAMES: usize = 272;
    pub const LOST_ROWS: usize = 280;
    pub const LAPS: usize = 288;
    pub const ASK: usize = 512;
    pub const EVICTED: usize = 640;

    /// A keyframe of every source is wanted.
    pub const ASK_ALL: u64 = 0x10000;
}

/// Kinds of frames, flags of frames.
pub(crate) mod frame {
    pub const PAD: u8 = 1;
    pub const ROWS: u8 = 2;
    pub const DELETES: u8 = 3;
    pub const EVENTS: u8 = 4;
    pub const MARK: u8 = 5;

    pub const FIRST: u8 = 1;
    pub const LAST: u8 = 2;
    pub const KEYFRAME: u8 = 4;

    /// Bytes of an entry in the table of events.
    pub const EVENT_ENTRY: u64 = 8;
}

/// Stands for every source of a ring.
pub(crate) const ANY_SOURCE: u16 = 0xffff;

/// Reads little-endian numbers out of a private copy.
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    pub fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    pub fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }

    pub fn u64(&self, at: usize) -> u64 {
        u64::from(self.u32(at)) | u64::from(self.u32(at + 4)) << 32
    }

    /// The text before the first NUL of a field.
    pub fn text(&self, at: usize, len: usize) -> String {
        let field = &self.0[at..at + len];
        let end = field.iter().position(|&b| b == 0).unwrap_or(len);
        String::from_utf8_lossy(&field[..end]).into_owned()
    }
}
