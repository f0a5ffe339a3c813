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
}

/// Walks two columns of equally many rows.
pub(crate) struct Pairs<'a, K, V> {
    /// The next row of either column, while `left` is not 0.
    key: *const u8,
    value: *const u8,
    key_stride: usize,
    value_stride: usize,
    left: usize,
    /// Every key lies at a multiple of `K::ALIGN`, every value at one of `V::ALIGN`.
    aligned: bool,
    lives: PhantomData<Place<'a>>,
    are: PhantomData<fn() -> (K, V)>,
}

// SAFETY: as for Place, of which this is many.
unsafe impl<K, V> Send for Pairs<'_, K, V> {}
// SAFETY: as above.
unsafe impl<K, V> Sync for Pairs<'_, K, V> {}

impl<'a, K: Plain, V: Plain> Pairs<'a, K, V> {
    pub fn new(keys: Column<'a, K>, values: Column<'a, V>) -> Pairs<'a, K, V> {
        Pairs {
            key: keys.raw.at,
            value: values.raw.at,
            key_stride: keys.raw.stride,
            value_stride: values.raw.stride,
            left: keys.rows().min(values.rows()),
            aligned: keys.aligned && values.aligned,
            lives: PhantomData,
            are: PhantomData,
        }
    }

    /// Loads the next row, with what is known at compile time: that every load of a field is inside the row, and,
    /// if ALIGNED, at a multiple of its size.
    ///
    /// # Safety
    /// `left` > 0, and `aligned` is ALIGNED or ALIGNED is false.
    #[inline(always)]
    unsafe fn load_next<const ALIGNED: bool>(&mut self) -> (K, V) {
        let row = (
            K::load(Place::new(self.key, K::SIZE, if ALIGNED { K::ALIGN } else { 1 })),
            V::load(Place::new(self.value, V::SIZE, if ALIGNED { V::ALIGN } else { 1 })),
        );
        self.left -= 1;
        // Behind the last row they point to nothing, and are not used.
        self.key = self.key.wrapping_add(self.key_stride);
        self.value = self.value.wrapping_add(self.value_stride);
        row
    }
}

impl<K: Plain, V: Plain> Iterator for Pairs<'_, K, V> {
    type Item = (K, V);

    #[inline(always)]
    fn next(&mut self) -> Option<(K, V)> {
        if self.left == 0 {
            return None;
        }
        // SAFETY: left > 0, so that both pointers are to rows inside the payload (`Strided::new`), which lives for
        // 'a; the rows have the types' sizes (`Column::new`). ALIGNED is what `aligned` is.
        Some(unsafe {
            if self.aligned {
                self.load_next::<true>()
            } else {
                self.load_next::<false>()
            }
        })
    }

    /// The same, with one decision for all rows.
    #[inline(always)]
    fn fold<B, F: FnMut(B, (K, V)) -> B>(mut self, init: B, mut f: F) -> B {
        let mut all = init;
        if self.aligned {
            while self.left > 0 {
                // SAFETY: left > 0 as above, and `aligned` is true.
                all = f(all, unsafe { self.load_next::<true>() });
            }
        }
        while self.left > 0 {
            // SAFETY: left > 0 as above; nothing is said of alignment.
            all = f(all, unsafe { self.load_next::<false>() });
        }
        all
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
