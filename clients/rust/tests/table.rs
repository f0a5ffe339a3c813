// SPDX-License-Identifier: Apache-2.0

//! A table is fresh only if it is what the stream said.

mod common;

use common::{Image, DELETES, FIRST, KEYFRAME, LAST, ROWS, WHOLE};
use ringside::{ErrorKind, Subscription, Table};

fn image() -> Image {
    let mut image = Image::new(32768);
    image.source("s", 4, 8, "");
    image
}

/// Freshness and content whenever the table changed.
fn follow(image: &Image, mut table: Table<u32, u64>) -> Vec<(bool, Vec<(u32, u64)>)> {
    let mut sub = Subscription::open_bytes(&image.bytes, Default::default()).unwrap();
    let mut seen = Vec::new();
    while table.follow(&mut sub).unwrap() {
        let mut rows: Vec<_> = table.iter().map(|(&k, &v)| (k, v)).collect();
        rows.sort_unstable();
        seen.push((table.is_fresh(), rows));
    }
    seen
}

#[test]
fn applies_scans_as_a_whole() {
    let mut i = image();
    i.frame(ROWS, LAST, &[(9, 9)]); // of a scan that began before
    i.scan = 2;
    i.frame(ROWS, FIRST | KEYFRAME, &[(1, 10), (2, 20)]);
    i.frame(ROWS, LAST | KEYFRAME, &[(3, 30)]);
    i.scan = 3;
    i.frame(ROWS, FIRST, &[(2, 21), (4, 40)]);
    i.frame(DELETES, 0, &[(1, 0)]);
    i.frame(ROWS, LAST, &[]);
    i.scan = 4;
    i.frame(DELETES, FIRST | LAST, &[(4, 0)]);
    assert_eq!(
        follow(&i, Table::new("s")),
        [
            (true, vec![(1, 10), (2, 20), (3, 30)]),
            (true, vec![(2, 21), (3, 30), (4, 40)]),
            (true, vec![(2, 21), (3, 30)]),
        ]
    );
    assert_eq!(follow(&i, Table::new("another")), []);
}

#[test]
fn a_scan_that_broke_off_makes_it_stale() {
    let mut i = image();
    i.frame(ROWS, WHOLE, &[(1, 1)]);
    i.scan = 2;
    i.frame(ROWS, FIRST, &[(1, 2)]);
    i.scan = 3;
    i.frame(ROWS, FIRST | LAST, &[(2, 2)]); // not to be applied: what came before it is not known
    i.scan = 4;
    i.frame(ROWS, WHOLE, &[(5, 5)]);
    assert_eq!(follow(&i, Table::new("s")), [(true, vec![(1, 1)]), (false, vec![(1, 1)]), (true, vec![(5, 5)])]);
}

#[test]
fn a_gap_makes_it_stale() {
    let mut i = image();
    i.frame(ROWS, WHOLE, &[(1, 1)]);
    i.src_seq += 1;
    i.scan = 3;
    i.frame(ROWS, FIRST | LAST, &[(2, 2)]);
    i.scan = 4;
    i.frame(ROWS, FIRST | KEYFRAME, &[(5, 5)]);
    i.src_seq += 1;
    i.frame(ROWS, LAST | KEYFRAME, &[(6, 6)]);
    assert_eq!(follow(&i, Table::new("s")), [(true, vec![(1, 1)]), (false, vec![(1, 1)])]);
}

#[test]
fn memory_is_bounded() {
    let mut i = image();
    let rows: Vec<_> = (0..100).map(|k| (k, 0)).collect();
    i.frame(ROWS, WHOLE, &rows);
    let mut sub = Subscription::open_bytes(&i.bytes, Default::default()).unwrap();
    let mut table = Table::<u32, u64>::with_limit("s", 99);
    assert_eq!(table.follow(&mut sub).unwrap_err().kind(), ErrorKind::TableFull);
    assert!(!table.is_fresh() && table.is_empty());
}

#[test]
fn a_map_that_turns_over_is_within_the_usual_bound() {
    let mut i = Image::new(131_072);
    i.source("s", 4, 8, ""); // a thousand entries
    i.frame(ROWS, WHOLE, &[(0, 0)]);
    i.scan = 2; // more was met than is there at once, and all that was there before is gone
    i.frame(ROWS, FIRST, &[(1, 1)]);
    for from in (1000..2100).step_by(100) {
        i.frame(ROWS, 0, &(from..from + 100).map(|k| (k, k.into())).collect::<Vec<_>>());
    }
    for from in (0..1000).step_by(100) {
        i.frame(DELETES, 0, &(from..from + 100).map(|k| (k, 0)).collect::<Vec<_>>());
    }
    i.frame(ROWS, LAST, &[]);
    let seen = follow(&i, Table::new("s"));
    assert_eq!(seen.iter().map(|(fresh, rows)| (*fresh, rows.len())).collect::<Vec<_>>(), [(true, 1), (true, 1100)]);
}
