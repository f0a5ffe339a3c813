// SPDX-License-Identifier: Apache-2.0

//! A source: what the catalog says of a map whose rows are in the ring.

use std::any::TypeId;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::error::LayoutError;
use crate::fit::Fit;
use crate::frame::RowSizes;
use crate::layout::{record, Bytes};
use crate::row::Plain;
use crate::schema::{Schema, Type, MAX_BYTES};
use crate::Place;

/// A map whose rows are in the ring. A map that is replaced under its name is another source, with another number.
#[derive(Debug)]
#[non_exhaustive]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Counts the sources of a ring.
    pub number: u16,
    /// The kernel's id of the map.
    pub map_id: u32,
    /// `enum bpf_map_type`.
    pub map_type: u32,
    /// How many entries the map can have.
    pub max_entries: u32,
    /// Bytes of a key.
    pub key_size: usize,
    /// Bytes of a value in the ring, those of all CPUs together.
    pub value_size: usize,
    /// How many values a row has, one for each possible CPU; 0: the map is not per CPU.
    pub cpus: usize,
    /// A scan shows no row that never existed and misses no key that was there throughout.
    pub locked_scan: bool,
    /// Values are never torn. Otherwise only aligned words of 8 bytes are not.
    pub locked_value: bool,
    /// Values are ids of inner maps.
    pub map_ids: bool,
    /// Records of a ring buffer: batches are of [`Kind::Events`](crate::Kind::Events).
    pub events: bool,
    /// Scans that are no keyframes hold only what is new, changed or gone.
    pub changes: bool,
    /// What the map says of its types; None where it says nothing that this client understands.
    pub schema: Option<Schema>,

    /// Bytes of a slot, or of the value, that hold data; the rest aligns slots.
    slot_data: usize,
    /// Pairs of types that were found to fit. Few, and looked up once a batch.
    fits: Fits,
}

#[derive(Default)]
struct Fits(Mutex<Vec<(TypeId, TypeId, bool)>>);

impl fmt::Debug for Fits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fits")
    }
}

impl Source {
    /// Interprets a private copy of a record. An error says what is corrupt.
    pub(crate) fn decode(fixed: &[u8], number: usize, heap: Place<'_>) -> Result<Source, String> {
        let b = Bytes(fixed);
        let (len, off, flags) = (b.u32(record::SCHEMA_LEN) as usize, b.u64(record::SCHEMA_OFF), b.u32(record::FLAGS));
        let mut source = Source {
            name: b.text(record::NAME, record::NAME_BYTES),
            number: number as u16,
            map_id: b.u32(record::MAP_ID),
            map_type: b.u32(record::MAP_TYPE),
            max_entries: b.u32(record::MAX_ENTRIES),
            key_size: b.u32(record::KEY_SIZE) as usize,
            value_size: b.u32(record::VALUE_SIZE) as usize,
            cpus: if flags & record::PER_CPU != 0 { b.u32(record::CPUS) as usize } else { 0 },
            locked_scan: flags & record::LOCKED_SCAN != 0,
            locked_value: flags & record::LOCKED_VALUE != 0,
            map_ids: flags & record::MAP_IDS != 0,
            events: flags & record::EVENTS != 0,
            changes: flags & record::CHANGES != 0,
            schema: None,
            slot_data: b.u32(record::VALUE_SIZE) as usize,
            fits: Fits::default(),
        };
        if b.u32(record::NUMBER) as usize != number {
            return Err(format!("catalog record {} calls itself {}", number, b.u32(record::NUMBER)));
        }
        if len > heap.len() || off > (heap.len() - len) as u64 {
            return Err(format!("the schema of source {} lies outside the heap", number));
        }
        if flags & record::PER_CPU != 0 {
            if source.cpus == 0 || source.value_size % source.cpus != 0 {
                return Err(format!("source {} has {}-byte values of {} CPUs", number, source.value_size, source.cpus));
            }
            source.slot_data = (b.u32(record::MAP_VALUE_SIZE) as usize).min(source.slot_size());
        }
        if len > 0 && len <= MAX_BYTES {
            let mut text = vec![0; len];
            heap.part(off as usize, len).copy_to(&mut text);
            source.schema = Schema::parse(&text).ok();
        }
        Ok(source)
    }

    pub(crate) fn sizes(&self) -> RowSizes {
        RowSizes { key: self.key_size as u32, value: self.value_size as u32 }
    }

    /// Bytes from one CPU's value to the next; of the value if the map is not per CPU.
    pub(crate) fn slot_size(&self) -> usize {
        self.value_size / self.cpus.max(1)
    }

    /// Holds K and V against the map's own types: the first time they are asked for, not for every batch.
    pub(crate) fn check<K: Plain, V: Plain>(&self, per_cpu: bool) -> Result<(), LayoutError> {
        let pair = (TypeId::of::<K>(), TypeId::of::<V>(), per_cpu);
        // What panicked beside the lock left the list whole.
        if self.fits.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&pair) {
            return Ok(());
        }
        if per_cpu != (self.cpus > 0) {
            let reason = if per_cpu {
                "the map is not per CPU: use rows".to_string()
            } else {
                format!("the map is per CPU, a row has {} values: use rows_per_cpu", self.cpus)
            };
            return Err(LayoutError {
                source: self.name.clone(),
                field: "value".into(),
                offset: 0,
                c: "value".into(),
                reason,
            });
        }
        self.check_key::<K>()?;
        let side = self.side(|s| s.value.as_ref(), self.slot_data);
        Fit { source: &self.name, side: "value" }.check(V::SHAPE, V::SIZE, side, self.slot_data)?;
        self.fits.0.lock().unwrap_or_else(PoisonError::into_inner).push(pair);
        Ok(())
    }

    pub(crate) fn check_key<K: Plain>(&self) -> Result<(), LayoutError> {
        let side = self.side(|s| s.key.as_ref(), self.key_size);
        Fit { source: &self.name, side: "key" }.check(K::SHAPE, K::SIZE, side, self.key_size)
    }

    /// Holds E against the type of a record. Without one, any record that is long enough is an E.
    pub(crate) fn check_event<E: Plain>(&self) -> Result<(), LayoutError> {
        match self.schema.as_ref().and_then(|s| s.value.as_ref()) {
            None => Ok(()),
            Some(side) => Fit { source: &self.name, side: "value" }.check(E::SHAPE, E::SIZE, Some(side), side.size),
        }
    }

    /// A type that is of other than the rows' size describes something else.
    fn side<'a>(&'a self, which: impl Fn(&'a Schema) -> Option<&'a Type>, size: usize) -> Option<&'a Type> {
        self.schema.as_ref().and_then(which).filter(|t| t.size == size)
    }
}
