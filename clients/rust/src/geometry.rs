// SPDX-License-Identifier: Apache-2.0

//! The header page of a ring, held against the rules of protocol 2.1.

use crate::error::{Error, ErrorKind};
use crate::layout::{header as at, Bytes, ABI_MAJOR, MAX_DATA, MIN_DATA, PAGE, RECORD};

/// Where every part of a ring lies. No offset computed from it leaves the file.
#[derive(Debug, Clone)]
pub(crate) struct Geometry {
    pub epoch: u64,
    pub total_bytes: u64,
    pub catalog_off: u64,
    pub catalog_records: u32,
    pub heap_off: u64,
    pub heap_bytes: u64,
    pub data_off: u64,
    pub data_bytes: u64,
    pub largest_frame: u32,
}

impl Geometry {
    /// Interprets a private copy of the header page of a file of `file_bytes`.
    pub fn decode(page: &[u8], file_bytes: u64) -> Result<Geometry, Error> {
        if file_bytes < 2 * PAGE as u64 || page.len() < PAGE || &page[..8] != at::MAGIC {
            return Err(Error::new(ErrorKind::NotARing, "no ring: it does not begin with the bytes RINGSIDE"));
        }
        let b = Bytes(page);
        let major = b.u16(at::ABI_MAJOR);
        if major != ABI_MAJOR {
            let text = format!(
                "ring has ABI version {}, this client knows {}: use a client of the sidecar's version",
                major, ABI_MAJOR
            );
            return Err(Error::new(ErrorKind::Version, text));
        }
        let (want, got) = (b.u64(at::CHECKSUM), fnv1a(&page[..at::CHECKSUM]));
        if want != got {
            return Err(wrong(format!("checksum {:#x}, computed {:#x}", want, got)));
        }
        let g = Geometry {
            epoch: b.u64(at::EPOCH),
            total_bytes: b.u64(at::TOTAL_BYTES),
            catalog_off: b.u64(at::CATALOG_OFF),
            catalog_records: b.u32(at::CATALOG_RECORDS),
            heap_off: b.u64(at::HEAP_OFF),
            heap_bytes: b.u64(at::HEAP_BYTES),
            data_off: b.u64(at::DATA_OFF),
            data_bytes: b.u64(at::DATA_BYTES),
            largest_frame: b.u32(at::LARGEST_FRAME),
        };
        if g.total_bytes != file_bytes {
            return Err(wrong(format!("it says {} bytes, the file has {}", g.total_bytes, file_bytes)));
        }
        let page = PAGE as u64;
        if b.u32(at::HEADER_BYTES) as usize != PAGE
            || b.u64(at::CONTROL_OFF) != page
            || b.u64(at::CONTROL_BYTES) != page
            || b.u32(at::RECORD_BYTES) as usize != RECORD
        {
            return Err(wrong("fixed parts are not where this version has them".into()));
        }
        g.check()?;
        Ok(g)
    }

    /// Holds the parts against each other. Subtractions come after the comparison that keeps them from wrapping.
    fn check(&self) -> Result<(), Error> {
        let page = PAGE as u64;
        if !self.data_bytes.is_power_of_two() || self.data_bytes < MIN_DATA || self.data_bytes > MAX_DATA {
            return Err(wrong(format!("{} bytes of data", self.data_bytes)));
        }
        if self.largest_frame % 64 != 0
            || self.largest_frame < 64
            || u64::from(self.largest_frame) > self.data_bytes / 8
        {
            return Err(wrong(format!("largest frame of {} bytes in {}", self.largest_frame, self.data_bytes)));
        }
        if self.catalog_off % page != 0 || self.heap_off % page != 0 || self.data_off % page != 0 {
            return Err(wrong("parts are not aligned to pages".into()));
        }
        if self.catalog_off < 2 * page
            || self.heap_off < self.catalog_off
            || self.data_off < self.heap_off
            || self.total_bytes < self.data_off
        {
            return Err(wrong("parts overlap".into()));
        }
        if u64::from(self.catalog_records) * RECORD as u64 > self.heap_off - self.catalog_off {
            return Err(wrong(format!("{} catalog records do not fit", self.catalog_records)));
        }
        if self.heap_bytes > self.data_off - self.heap_off {
            return Err(wrong("the schema heap reaches into the data".into()));
        }
        if self.data_bytes != self.total_bytes - self.data_off {
            return Err(wrong("the data does not end the file".into()));
        }
        Ok(())
    }
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::Geometry, format!("the ring's header contradicts itself: {}", what))
}

/// Guards against a header that was damaged on its way; proves nothing about who wrote it.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}
