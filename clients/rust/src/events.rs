// SPDX-License-Identifier: Apache-2.0

//! Records of a ring buffer: a table of places, and bytes.

use std::marker::PhantomData;

use crate::layout::FRAME_HEADER;
use crate::row::Plain;
use crate::Place;

/// The table of an events frame: `rows` entries of an offset, counted from the frame's header, and a length.
#[derive(Clone, Copy)]
pub(crate) struct EventTable<'a> {
    payload: Place<'a>,
    at: usize,
    rows: usize,
}

impl<'a> EventTable<'a> {
    pub fn new(payload: Place<'a>, at: usize, rows: usize) -> EventTable<'a> {
        let inside = matches!(rows.checked_mul(8).and_then(|n| n.checked_add(at)), Some(end) if end <= payload.len());
        EventTable { payload, at, rows: if inside { rows } else { 0 } }
    }

    /// Where record `i < rows` lies in the payload. Its entry is read once and then bounded, because it may
    /// change. None if it leaves the frame.
    #[inline]
    pub fn range(&self, i: usize) -> Option<(usize, usize)> {
        assert!(i < self.rows, "record {} of a batch of {}", i, self.rows);
        let (offset, len) =
            (self.payload.u32(self.at + i * 8) as usize, self.payload.u32(self.at + i * 8 + 4) as usize);
        let at = offset.checked_sub(FRAME_HEADER)?;
        (at <= self.payload.len() && len <= self.payload.len() - at).then_some((at, len))
    }

    #[inline]
    pub fn get(&self, i: usize) -> Option<Place<'a>> {
        self.range(i).map(|(at, len)| self.payload.part(at, len))
    }

    /// Whether every entry names bytes of the frame.
    pub fn whole(&self) -> bool {
        (0..self.rows).all(|i| self.range(i).is_some())
    }
}

/// Walks the records of a batch; see [`View::events`](crate::View::events).
pub struct Events<'a, E> {
    table: EventTable<'a>,
    next: usize,
    is: PhantomData<fn() -> E>,
}

impl<'a, E: Plain> Events<'a, E> {
    pub(crate) fn new(table: EventTable<'a>) -> Events<'a, E> {
        Events { table, next: 0, is: PhantomData }
    }
}

impl<E: Plain> Iterator for Events<'_, E> {
    type Item = Option<E>;

    fn next(&mut self) -> Option<Option<E>> {
        if self.next >= self.table.rows {
            return None;
        }
        self.next += 1;
        let record = self.table.get(self.next - 1);
        Some(record.filter(|r| r.len() >= E::SIZE).map(|r| E::load(r.part(0, E::SIZE))))
    }
}
