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
    /// The state in which a ring has a successor.
    pub const SUPERSEDED: u64 = 2;
    /// The state in which a ring has none.
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
    pub const ACTIVE: u64 = 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The number that stands beside a name in a table of docs/protocol.md.
    fn number(table: &str, name: &str) -> usize {
        let text = include_str!("../../../docs/protocol.md");
        let begin = text.find(&format!("<!-- table: {} -->", table)).expect(table);
        let rows = text[begin..].lines().skip(2).take_while(|l| l.starts_with('|'));
        let cells = |row: &str| row.split('|').map(|c| c.trim().trim_matches('`').to_string()).collect::<Vec<_>>();
        let row = rows.map(cells).find(|c| c[1].parse::<usize>().is_ok() && c[2..].iter().any(|c| c == name));
        let row = row.unwrap_or_else(|| panic!("{} has no {}", table, name));
        row[1].parse().expect(name)
    }

    #[test]
    fn agrees_with_the_protocol() {
        let (header, control, catalog) =
            (|n| number("header", n), |n| PAGE + number("control", n), |n| number("catalog", n));
        let (page, state) = (|n| number("consumer", n), |n| number("states", n) as u64);
        let (flag, kind, source) =
            (|n| number("flags", n) as u8, |n| number("kinds", n) as u8, |n| number("source flags", n) as u32);
        for (have, want) in [
            (usize::from(ABI_MAJOR), number("constants", "ABI major")),
            (PAGE, number("constants", "page")),
            (FRAME_HEADER, number("constants", "frame header")),
            (RECORD, number("constants", "catalog record")),
            (MIN_DATA as usize, number("constants", "smallest data")),
            (MAX_DATA as usize, number("constants", "largest data")),
            (header::ABI_MAJOR, header("abi_major")),
            (header::HEADER_BYTES, header("header_bytes")),
            (header::TOTAL_BYTES, header("total_bytes")),
            (header::EPOCH, header("epoch")),
            (header::CONTROL_OFF, header("control_off")),
            (header::CONTROL_BYTES, header("control_bytes")),
            (header::CATALOG_OFF, header("catalog_off")),
            (header::CATALOG_RECORDS, header("catalog_records")),
            (header::RECORD_BYTES, header("record_bytes")),
            (header::HEAP_OFF, header("heap_off")),
            (header::HEAP_BYTES, header("heap_bytes")),
            (header::DATA_OFF, header("data_off")),
            (header::DATA_BYTES, header("data_bytes")),
            (header::LARGEST_FRAME, header("largest_frame")),
            (header::CHECKSUM, header("checksum")),
            (control::HW, control("hw")),
            (control::HEAD, control("head")),
            (control::TAIL, control("tail")),
            (control::LAST, control("last")),
            (control::HEARTBEAT_NS, control("heartbeat_ns")),
            (control::STATE, control("state")),
            (control::REALTIME_OFFSET_NS, control("realtime_offset_ns")),
            (control::CATALOG_LEN, control("catalog_len")),
            (record::NUMBER, catalog("number")),
            (record::MAP_ID, catalog("map_id")),
            (record::MAP_TYPE, catalog("map_type")),
            (record::KEY_SIZE, catalog("key_size")),
            (record::VALUE_SIZE, catalog("value_size")),
            (record::MAP_VALUE_SIZE, catalog("map_value_size")),
            (record::CPUS, catalog("cpus")),
            (record::FLAGS, catalog("flags")),
            (record::MAX_ENTRIES, catalog("max_entries")),
            (record::SCHEMA_LEN, catalog("schema_len")),
            (record::SCHEMA_OFF, catalog("schema_off")),
            (record::NAME, catalog("name")),
            (record::STATE, catalog("state")),
            (record::KEYFRAME_POS, catalog("keyframe_pos")),
            (record::SUPERSEDED_BY, catalog("superseded_by")),
            (record::ACTIVE as usize, number("sources", "ACTIVE")),
            (record::SUPERSEDED as usize, number("sources", "SUPERSEDED")),
            (page::CURSOR, page("cursor")),
            (page::SLEEP, page("sleep")),
            (page::NEXT_SEQ, page("next_seq")),
            (page::NEXT_ROWS, page("next_rows")),
            (page::LOST_FRAMES, page("lost_frames")),
            (page::LOST_ROWS, page("lost_rows")),
            (page::LAPS, page("laps")),
            (page::ASK, page("ask")),
            (page::EVICTED, page("evicted")),
        ] {
            assert_eq!(have, want);
        }
        assert_eq!([control::LIVE, control::SUPERSEDED, control::ENDED], ["LIVE", "SUPERSEDED", "ENDED"].map(state));
        let kinds = [frame::PAD, frame::ROWS, frame::DELETES, frame::EVENTS, frame::MARK];
        assert_eq!(kinds, ["PAD", "ROWS", "DELETES", "EVENTS", "MARK"].map(kind));
        assert_eq!([frame::FIRST, frame::LAST, frame::KEYFRAME], ["FIRST", "LAST", "KEYFRAME"].map(flag));
        let flags = [
            record::PER_CPU,
            record::LOCKED_SCAN,
            record::LOCKED_VALUE,
            record::MAP_IDS,
            record::EVENTS,
            record::CHANGES,
        ];
        assert_eq!(flags, ["PER_CPU", "LOCKED_SCAN", "LOCKED_VALUE", "MAP_IDS", "EVENTS", "CHANGES"].map(source));
    }
}
