// SPDX-License-Identifier: Apache-2.0

//! Ring images, made byte by byte from docs/protocol.md.
#![allow(dead_code)] // each test uses its part

pub const DATA_OFF: usize = 16384;
pub const ROWS: u8 = 2;
pub const DELETES: u8 = 3;
pub const FIRST: u8 = 1;
pub const LAST: u8 = 2;
pub const KEYFRAME: u8 = 4;
pub const WHOLE: u8 = FIRST | LAST | KEYFRAME;

pub struct Image {
    pub bytes: Vec<u8>,
    head: usize,
    sources: usize,
    heap: usize,
    seq: u64,
    rows: u64,
    pub scan: u64,
    pub src_seq: u32,
}

impl Image {
    /// A ring of `data` bytes that has ended.
    pub fn new(data: usize) -> Image {
        let mut image = Image {
            bytes: vec![0; DATA_OFF + data],
            head: 0,
            sources: 0,
            heap: 0,
            seq: 0,
            rows: 0,
            scan: 1,
            src_seq: 0,
        };
        image.bytes[..8].copy_from_slice(b"RINGSIDE");
        for (at, word) in [
            (8, 1 | 1 << 16 | 4096 << 32),
            (16, (DATA_OFF + data) as u64),
            (24, 1),
            (40, 4096),
            (48, 4096),
            (56, 8192),
            (64, 8 | 512 << 32),
            (72, 12288),
            (80, 4096),
            (88, DATA_OFF as u64),
            (96, data as u64),
            (104, data as u64 / 8),
            (4096 + 640, 3), // ENDED
        ] {
            image.put(at, word);
        }
        stamp(&mut image.bytes);
        image
    }

    pub fn put(&mut self, at: usize, word: u64) {
        self.bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }

    fn put32(&mut self, at: usize, n: u32) {
        self.bytes[at..at + 4].copy_from_slice(&n.to_le_bytes());
    }

    /// Adds a source of that name and layout.
    pub fn source(&mut self, name: &str, key_size: u32, value_size: u32, schema: &str) {
        let at = 8192 + self.sources * 512;
        self.put32(at, self.sources as u32);
        self.put32(at + 12, key_size);
        self.put32(at + 16, value_size);
        self.put32(at + 20, value_size);
        self.put32(at + 32, 1000);
        self.put32(at + 36, schema.len() as u32);
        self.put(at + 40, self.heap as u64);
        self.bytes[at + 64..at + 64 + name.len()].copy_from_slice(name.as_bytes());
        let heap = 12288 + self.heap;
        self.bytes[heap..heap + schema.len()].copy_from_slice(schema.as_bytes());
        self.heap += schema.len();
        self.sources += 1;
        self.put(4096 + 896, self.sources as u64);
    }

    /// Where the next frame will be.
    pub fn head(&self) -> usize {
        self.head
    }

    /// Says that a source is read, and where its newest keyframe is.
    pub fn keyframe(&mut self, source: usize, at: u64) {
        self.put(8192 + source * 512 + 256, 1);
        self.put(8192 + source * 512 + 264, at);
    }

    /// Publishes a frame of source 0: keys of 4 bytes, values of 8.
    pub fn frame(&mut self, kind: u8, flags: u8, rows: &[(u32, u64)]) {
        let at = DATA_OFF + self.head;
        let values = (64 + rows.len() * 4 + 7) / 8 * 8;
        let length = (values + rows.len() * 8 + 63) / 64 * 64;
        self.put(at, length as u64 | u64::from(kind) << 32 | u64::from(flags) << 40);
        self.put(at + 8, rows.len() as u64 | u64::from(self.src_seq) << 32);
        self.put(at + 16, 64 | 4 << 32);
        self.put(at + 24, values as u64 | 8 << 32);
        self.put(at + 32, self.seq);
        self.put(at + 40, self.rows);
        self.put(at + 48, self.scan);
        for (i, &(key, value)) in rows.iter().enumerate() {
            self.put32(at + 64 + i * 4, key);
            self.put(at + values + i * 8, value);
        }
        self.put(4096 + 384, self.head as u64);
        self.head += length;
        self.seq += 1;
        self.rows += rows.len() as u64;
        self.src_seq += 1;
        self.put(4096, self.head as u64);
        self.put(4096 + 128, self.head as u64);
    }
}

/// Makes the header's checksum right.
pub fn stamp(bytes: &mut [u8]) {
    let fnv = |hash: u64, &b: &u8| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
    let sum = bytes[..176].iter().fold(0xcbf2_9ce4_8422_2325, fnv);
    bytes[176..184].copy_from_slice(&sum.to_le_bytes());
}
