// SPDX-License-Identifier: Apache-2.0

//! Reading allocates nothing, batch after batch.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ringside::{Subscription, View};

struct Counting;

thread_local! {
    // Of this thread alone: the one that waits for the test allocates when it likes.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        System.dealloc(at, layout)
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn reading_allocates_nothing() {
    let mut image = common::Image::new(1 << 20);
    image.source("s", 4, 8, "");
    for i in 0..1000 {
        image.frame(common::ROWS, common::WHOLE, &[(i, 1); 40]);
    }
    let mut sub = Subscription::open_bytes(&image.bytes, Default::default()).unwrap();
    let sum = |view: &View<'_>| view.rows::<u32, u64>().unwrap().map(|(k, v)| u64::from(k) + v).sum::<u64>();
    let mut total = sub.view(sum).unwrap().unwrap(); // the first batch of a source looks its types up
    let before = ALLOCATIONS.with(Cell::get);
    for i in 1..1000 {
        total += if i % 2 == 0 { sub.view(sum).unwrap().unwrap() } else { sum(&sub.next().unwrap().unwrap()) };
    }
    assert_eq!(ALLOCATIONS.with(Cell::get), before);
    assert_eq!(total, 40 * (999 * 1000 / 2 + 1000));
    assert!(sub.next().unwrap().is_none());
}
