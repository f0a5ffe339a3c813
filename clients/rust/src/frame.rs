// SPDX-License-Identifier: Apache-2.0

//! A frame's header, and whether what it describes lies inside the frame.

use crate::layout::frame;

/// What a header says, taken from a private copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    pub source: u16,
    pub rows: u32,
    pub src_seq: u32,
    pub keys_off: u32,
    pub key_stride: u32,
    pub values_off: u32,
    pub value_stride: u32,
    pub seq: u64,
    pub rows_before: u64,
    pub scan: u64,
    pub time_ns: u64,
}

/// Bytes of a source's key and value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowSizes {
    pub key: u32,
    pub value: u32,
}

impl Header {
    pub fn decode(w: &[u64; 8]) -> Header {
        Header {
            length: w[0] as u32,
            kind: (w[0] >> 32) as u8,
            flags: (w[0] >> 40) as u8,
            source: (w[0] >> 48) as u16,
            rows: w[1] as u32,
            src_seq: (w[1] >> 32) as u32,
            keys_off: w[2] as u32,
            key_stride: (w[2] >> 32) as u32,
            values_off: w[3] as u32,
            value_stride: (w[3] >> 32) as u32,
            seq: w[4],
            rows_before: w[5],
            scan: w[6],
            time_ns: w[7],
        }
    }

    /// Whether all rows lie inside the frame (protocol 3, Extents).
    pub fn extents(&self, sizes: RowSizes) -> bool {
        let keys = || self.column(self.keys_off, self.key_stride, sizes.key);
        match self.kind {
            frame::ROWS => keys() && self.column(self.values_off, self.value_stride, sizes.value),
            frame::DELETES => keys(),
            frame::EVENTS => self.event_table(),
            frame::MARK => self.rows == 0,
            _ => true, // not interpreted
        }
    }

    fn column(&self, off: u32, stride: u32, size: u32) -> bool {
        self.rows == 0
            || off >= 64
                && stride >= size
                && self.rows <= self.length
                && u64::from(off) + u64::from(self.rows - 1) * u64::from(stride) + u64::from(size)
                    <= u64::from(self.length)
    }

    /// The table alone: its entries can only be checked in a copy.
    fn event_table(&self) -> bool {
        self.keys_off >= 64
            && u64::from(self.key_stride) == frame::EVENT_ENTRY
            && u64::from(self.keys_off) + u64::from(self.rows) * frame::EVENT_ENTRY <= u64::from(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_counted_in_64_bits() {
        let sizes = RowSizes { key: 4, value: 8 };
        let ok = Header {
            length: 128,
            kind: frame::ROWS,
            rows: 4,
            keys_off: 64,
            key_stride: 4,
            values_off: 80,
            value_stride: 8,
            ..Header::default()
        };
        assert!(ok.extents(sizes));
        for bad in [
            Header { rows: 7, ..ok },
            Header { rows: u32::MAX, ..ok },
            Header { keys_off: 60, ..ok },
            Header { key_stride: 3, ..ok },
            Header { key_stride: u32::MAX, ..ok },
            Header { values_off: 97, ..ok },
            Header { values_off: u32::MAX, ..ok },
            Header { kind: frame::MARK, ..ok },
            Header { kind: frame::EVENTS, ..ok },
            Header { kind: frame::EVENTS, key_stride: 8, rows: 9, ..ok },
            Header { kind: frame::EVENTS, key_stride: 8, keys_off: 97, ..ok },
        ] {
            assert!(!bad.extents(sizes), "{:?}", bad);
        }
        assert!(Header { kind: frame::DELETES, values_off: 0, ..ok }.extents(sizes));
        assert!(Header { kind: frame::EVENTS, key_stride: 8, ..ok }.extents(sizes));
        assert!(Header { kind: 77, keys_off: u32::MAX, ..ok }.extents(sizes));
    }
}
