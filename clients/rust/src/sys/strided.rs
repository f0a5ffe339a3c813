// SPDX-License-Identifier: Apache-2.0

//! Columns of rows: as many places of one size, one stride apart.

use std::marker::PhantomData;

use super::place::Place;
use crate::row::Plain;

/// Row `i` of `rows` lies at `at + i * stride` and has `size` bytes.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    at: *const u8,
    stride: usize,
    size: usize,
    rows: usize,
    lives: PhantomData<Place<'a>>,
}

// SAFETY: as for Place, of which this is many.
unsafe impl Send for Strided<'_> {}
// SAFETY: as above.
unsafe impl Sync for Strided<'_> {}

impl<'a> Strided<'a> {
    /// A column of `payload`; one without rows if it does not lie inside, which no checked frame's does.
    pub fn new(payload: Place<'a>, offset: usize, stride: usize, size: usize, rows: usize) -> Strided<'a> {
        let inside = |rows: usize| (rows - 1).checked_mul(stride)?.checked_add(size)?.checked_add(offset);
        let rows = if rows > 0 && matches!(inside(rows), Some(end) if end <= payload.len()) { rows } else { 0 };
        let at = payload.part(if rows > 0 { offset } else { 0 }, 0).address();
        Strided { at, stride, size, rows, lives: PhantomData }
    }

    pub fn none() -> Strided<'a> {
        Strided::new(Place::of_words(&[], 0), 0, 0, 0, 0)
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Row `i`, `i < rows()`.
    #[inline(always)]
    pub fn get(&self, i: usize) -> Place<'a> {
        assert!(i < self.rows, "row {} of a batch of {}", i, self.rows);
        // SAFETY: i < rows (asserted), so the row lies inside the payload (`new`), which lives for 'a. One
        // divides every address.
        unsafe { Place::new(self.at.add(i * self.stride), self.size, 1) }
    }
}

/// A column of which every row is a `T`.
pub(crate) struct Column<'a, T> {
    raw: Strided<'a>,
    /// Every row lies at a multiple of `T::ALIGN`.
    aligned: bool,
    is: PhantomData<fn() -> T>,
}

impl<T> Clone for Column<'_, T> {
    fn clone(&self) -> Self {
        Column { ..*self }
    }
}

impl<'a, T: Plain> Column<'a, T> {
    /// Without rows if rows are not of T's size.
    pub fn new(mut raw: Strided<'a>) -> Column<'a, T> {
        if raw.size != T::SIZE {
            raw.rows = 0;
        }
        let aligned = raw.at as usize % T::ALIGN == 0 && raw.stride % T::ALIGN == 0;
        Column { raw, aligned, is: PhantomData }
    }

    pub fn rows(&self) -> usize {
        self.raw.rows
    }

    pub fn get(&self, i: usize) -> T {
        T::load(self.raw.get(i))
    }

    /// Row `i`, loaded with what is known at compile time: that every load of a field is inside the row, and,
    /// but for packed types, aligned.
    ///
    /// # Safety
    /// `i < rows()`
    #[inline(always)]
    unsafe fn load(&self, i: usize) -> T {
        let at = self.raw.at.add(i * self.raw.stride);
        if self.aligned {
            T::load(Place::new(at, T::SIZE, T::ALIGN))
        } else {
            T::load(Place::new(at, T::SIZE, 1))
        }
    }
}

/// Walks two columns of equally many rows.
pub(crate) struct Pairs<'a, K, V> {
    keys: Column<'a, K>,
    values: Column<'a, V>,
    next: usize,
    rows: usize,
}

impl<'a, K: Plain, V: Plain> Pairs<'a, K, V> {
    pub fn new(keys: Column<'a, K>, values: Column<'a, V>) -> Pairs<'a, K, V> {
        let rows = keys.rows().min(values.rows());
        Pairs { keys, values, next: 0, rows }
    }
}

impl<K: Plain, V: Plain> Iterator for Pairs<'_, K, V> {
    type Item = (K, V);

    #[inline(always)]
    fn next(&mut self) -> Option<(K, V)> {
        if self.next >= self.rows {
            return None;
        }
        let i = self.next;
        self.next += 1;
        // SAFETY: i < self.rows, which is at most the rows of either column.
        Some(unsafe { (self.keys.load(i), self.values.load(i)) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.rows - self.next;
        (left, Some(left))
    }
}
