// SPDX-License-Identifier: Apache-2.0

//! Iterators over rows.

use std::marker::PhantomData;

use crate::row::Plain;
use crate::sys::strided::{Column, Pairs, Strided};
use crate::Place;

/// Walks the rows of a batch as keys and values; see [`View::rows`](crate::View::rows).
pub struct Rows<'a, K, V>(Pairs<'a, K, V>);

impl<'a, K: Plain, V: Plain> Rows<'a, K, V> {
    #[inline]
    pub(crate) fn new(keys: Strided<'a>, values: Strided<'a>) -> Rows<'a, K, V> {
        Rows(Pairs::new(Column::new(keys), Column::new(values)))
    }

    pub(crate) fn none() -> Rows<'a, K, V> {
        Rows::new(Strided::none(), Strided::none())
    }
}

impl<K: Plain, V: Plain> Iterator for Rows<'_, K, V> {
    type Item = (K, V);

    #[inline(always)]
    fn next(&mut self) -> Option<(K, V)> {
        self.0.next()
    }

    #[inline(always)]
    fn fold<B, F: FnMut(B, (K, V)) -> B>(self, init: B, f: F) -> B {
        self.0.fold(init, f)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<K: Plain, V: Plain> ExactSizeIterator for Rows<'_, K, V> {}

/// Walks the keys of a batch; see [`View::keys`](crate::View::keys).
pub struct Keys<'a, K> {
    keys: Column<'a, K>,
    next: usize,
}

impl<'a, K: Plain> Keys<'a, K> {
    pub(crate) fn new(keys: Strided<'a>) -> Keys<'a, K> {
        Keys { keys: Column::new(keys), next: 0 }
    }
}

impl<K: Plain> Iterator for Keys<'_, K> {
    type Item = K;

    fn next(&mut self) -> Option<K> {
        if self.next >= self.keys.rows() {
            return None;
        }
        self.next += 1;
        Some(self.keys.get(self.next - 1))
    }
}

/// Walks the rows of a map that keeps a value for each CPU; see [`View::rows_per_cpu`](crate::View::rows_per_cpu).
pub struct PerCpu<'a, K, V> {
    keys: Column<'a, K>,
    values: Strided<'a>,
    cpus: usize,
    next: usize,
    is: PhantomData<fn() -> V>,
}

impl<'a, K: Plain, V: Plain> PerCpu<'a, K, V> {
    pub(crate) fn new(keys: Strided<'a>, values: Strided<'a>, cpus: usize) -> PerCpu<'a, K, V> {
        PerCpu { keys: Column::new(keys), values, cpus, next: 0, is: PhantomData }
    }

    pub(crate) fn none() -> PerCpu<'a, K, V> {
        PerCpu::new(Strided::none(), Strided::none(), 0)
    }
}

impl<'a, K: Plain, V: Plain> Iterator for PerCpu<'a, K, V> {
    type Item = (K, Slots<'a, V>);

    fn next(&mut self) -> Option<(K, Slots<'a, V>)> {
        let i = self.next;
        if i >= self.keys.rows().min(self.values.rows()) {
            return None;
        }
        self.next += 1;
        Some((self.keys.get(i), Slots { value: self.values.get(i), cpus: self.cpus, is: PhantomData }))
    }
}

/// The values of one row, one for each possible CPU. CPUs that never were online have zeros.
#[derive(Clone, Copy)]
pub struct Slots<'a, V> {
    value: Place<'a>,
    cpus: usize,
    is: PhantomData<fn() -> V>,
}

impl<'a, V: Plain> Slots<'a, V> {
    /// The number of possible CPUs.
    pub fn len(&self) -> usize {
        self.cpus
    }

    /// Whether there are none, which no map's rows have.
    pub fn is_empty(&self) -> bool {
        self.cpus == 0
    }

    /// The value of one CPU, `cpu < len()`.
    pub fn on(&self, cpu: usize) -> V {
        assert!(cpu < self.cpus, "CPU {} of {}", cpu, self.cpus);
        let stride = self.value.len() / self.cpus;
        V::load(self.value.part(cpu * stride, V::SIZE))
    }

    /// The values, CPU by CPU.
    pub fn iter(self) -> impl Iterator<Item = V> + 'a
    where
        V: 'a,
    {
        (0..self.cpus).map(move |cpu| self.on(cpu))
    }
}
