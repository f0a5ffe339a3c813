// SPDX-License-Identifier: Apache-2.0

//! Types that describe a map's rows are accepted; of others the error names the first field that differs.

mod common;

use ringside::{Plain, Subscription};

const SCHEMA: &str = r#"{"version":1,"key":{"kind":"uint","name":"__u32","size":4},"value":{"kind":"struct","name":"struct v","size":48,"fields":[
 {"name":"packets","offset":0,"type":{"kind":"uint","name":"__u64","size":8}},
 {"name":"bytes","offset":8,"type":{"kind":"uint","name":"__u64","size":8}},
 {"name":"delta","offset":16,"type":{"kind":"int","name":"int","size":4}},
 {"name":"state","offset":20,"type":{"kind":"enum","name":"enum state","size":4}},
 {"name":"comm","offset":24,"type":{"kind":"array","size":8,"count":8,"elem":{"kind":"char","name":"char","size":1}}},
 {"offset":32,"type":{"kind":"union","size":8,"fields":[
   {"name":"v4","offset":0,"type":{"kind":"uint","name":"__be32","size":4}},
   {"name":"ratio","offset":0,"type":{"kind":"float","name":"double","size":8}}]}},
 {"name":"on","offset":40,"bit_size":1,"type":{"kind":"uint","name":"__u32","size":4}},
 {"name":"level","offset":40,"bit_offset":1,"bit_size":7,"type":{"kind":"uint","name":"__u32","size":4}}]}}"#;

macro_rules! v {
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        ringside::row! { #[allow(dead_code)] struct $name { $($field: $type),* } }
    };
}

v!(Whole { packets: u64, bytes: u64, delta: i32, state: u32, comm: [u8; 8], ratio: f64, bits: u8, _pad: [u8; 7] });
v!(Other { _skip: [u64; 2], delta: i32, state: i32, comm: [i8; 8], v4: u32, _pad: [u8; 12] });
v!(Raw { all: [u8; 48] });
v!(Few { _before: ringside::Pad<8>, bytes: u64, _behind: ringside::Pad<32> });
v!(Inner { packets: u64, bytes: u64 });
v!(Nested { counts: Inner, _rest: [u8; 32] });
v!(Counters { counters: [u64; 2], _rest: [u8; 32] });
v!(Swapped { bytes: u64, packets: u64, _rest: [u8; 32] });
v!(Sign { packets: u64, bytes: i64, _rest: [u8; 32] });
v!(Width { packets: u64, bytes: u32, _rest: [u8; 36] });
v!(Moved { packets: u64, _pad: [u8; 4], bytes: u32, _rest: [u8; 32] });
v!(Float { _rest: [u8; 16], delta: f32, _more: [u8; 28] });
v!(Union { _rest: [u8; 32], v4: i32, _more: [u8; 12] });
v!(Bits { _rest: [u8; 40], on: i8, _more: [u8; 7] });
v!(Padding { _rest: [u8; 41], mine: u8, _more: [u8; 6] });
v!(Short { packets: u64 });
v!(Long { _rest: [u8; 48], mine: u64 });

fn verdict<K: Plain, V: Plain>() -> String {
    let mut image = common::Image::new(4096);
    image.source("s", 4, 48, SCHEMA);
    image.frame(common::ROWS, common::WHOLE, &[]);
    let mut sub = Subscription::open_bytes(&image.bytes, Default::default()).unwrap();
    let batch = sub.next().unwrap().unwrap();
    let verdict = batch.rows::<K, V>();
    verdict.map_or_else(|e| e.to_string(), |rows| format!("{} rows", rows.count()))
}

#[test]
fn what_fits_is_accepted() {
    for (name, got) in [
        ("Whole", verdict::<u32, Whole>()),
        ("Other", verdict::<u32, Other>()),
        ("Raw", verdict::<[u8; 4], Raw>()),
        ("bytes", verdict::<[u8; 4], [u8; 48]>()),
        ("Few", verdict::<u32, Few>()),
        ("Nested", verdict::<u32, Nested>()),
        ("Counters", verdict::<u32, Counters>()),
    ] {
        assert_eq!(got, "0 rows", "{}", name);
    }
}

#[test]
fn an_error_names_the_field() {
    for (got, want) in [
        (verdict::<i32, Whole>(), "Rust key (offset 0) and C key (__u32): C is unsigned: use u32"),
        (verdict::<u64, Whole>(), "Rust key (offset 0)"),
        (
            verdict::<u32, Swapped>(),
            "Rust value.bytes (offset 0) and C value.bytes (__u64): C has the field of this name at offset 8",
        ),
        (verdict::<u32, Sign>(), "Rust value.bytes (offset 8) and C value.bytes (__u64): C is unsigned: use u64"),
        (verdict::<u32, Width>(), "Rust value.bytes (offset 8) and C value.bytes (__u64): Rust has 4 bytes, C has 8"),
        (verdict::<u32, Moved>(), "Rust value.bytes (offset 12) and C value.bytes (__u64): "),
        (verdict::<u32, Float>(), "Rust value.delta (offset 16) and C value.delta (int): C is signed: use i32"),
        (verdict::<u32, Union>(), "Rust value.v4 (offset 32) and C value.v4 (__be32): C is unsigned: use u32"),
        (verdict::<u32, Bits>(), "Rust value.on (offset 40) and C value.on (__u32): C has bitfields there"),
        (verdict::<u32, Padding>(), "Rust value.mine (offset 41) and C value (struct v): C has only padding there"),
        (verdict::<u32, Short>(), "Rust has 8 bytes, the map has 48: append padding"),
        (
            verdict::<u32, Long>(),
            "Rust value.mine (offset 48) and C value (struct v): the field ends at byte 56, C ends at 48",
        ),
    ] {
        assert!(got.contains(want), "got  {}\nwant {}", got, want);
        assert!(got.starts_with("source \"s\": "));
    }
}
