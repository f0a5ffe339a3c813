// SPDX-License-Identifier: Apache-2.0

//! Where reading of a file begins.

mod common;

use ringside::{Options, Start, Subscription};

#[test]
fn a_file_is_read_from_where_it_is_said() {
    let mut image = common::Image::new(4096);
    image.source("a", 4, 8, "");
    image.source("b", 4, 8, "");
    for row in 0..3 {
        let at = image.head() as u64;
        image.frame(common::ROWS, common::WHOLE, &[(row, 1)]);
        image.keyframe(0, at);
    }
    let frames = |start, source: &str| {
        let options = Options { start, source: source.into(), ..Default::default() };
        let mut sub = Subscription::open_bytes(&image.bytes, options).unwrap();
        while sub.next().unwrap().is_some() {}
        sub.stats().frames
    };
    for (start, source, expected) in [
        (Start::Default, "", 3),
        (Start::Oldest, "a", 3),
        (Start::Head, "", 0),
        (Start::Beginning, "", 3),
        (Start::Keyframe, "", 1),
        (Start::Keyframe, "a", 1),
        (Start::Keyframe, "b", 0), // which has none: from the oldest frame, and all are of a
    ] {
        assert_eq!(frames(start, source), expected, "{:?} {}", start, source);
    }
}
