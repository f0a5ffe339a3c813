// SPDX-License-Identifier: Apache-2.0

//! Whatever a ring image holds, a reader ends, within bounded work, and touches nothing outside.

mod common;

use std::{env, fs};

use ringside::{Batch, Options, Start, Subscription, View};

ringside::row! {
    struct Key {
        id: u32,
    }

    packed struct Value {
        kind: u8,
        id: u16,
        more: [u8; 5],
    }
}

/// A generator of Marsaglia's, so that every run is the same one.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 16) as usize % n
    }
}

/// Changes a few things, where it hurts most: words of header, control, catalog, headers of frames.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(6) {
        if bytes.len() < 8 {
            return;
        }
        let zone = match random.below(5) {
            0 => random.below(184),
            1 => 4096 + 128 * random.below(8),
            2 => 8192 + random.below(1024),
            3 => 16384 + 64 * random.below(16) + random.below(64),
            _ => random.below(bytes.len()),
        };
        let at = zone.min(bytes.len() - 8);
        let word = match random.below(6) {
            0 => random.next(),
            1 => 0,
            2 => u64::MAX - random.below(4096) as u64,
            3 => random.below(1 << 16) as u64,
            4 => 1 << random.below(64),
            _ => 64 * random.below(512) as u64,
        };
        let width = [1, 2, 4, 8][random.below(4)];
        bytes[at..at + width].copy_from_slice(&word.to_le_bytes()[..width]);
    }
    if random.below(20) == 0 {
        bytes.truncate(random.below(bytes.len()));
    }
    if bytes.len() >= 184 && random.below(8) > 0 {
        common::stamp(bytes);
    }
}

/// Looks at everything that a batch shows.
fn touch(view: &View<'_>) -> u64 {
    let mut sum = view.time().elapsed().map_or(0, |d| d.as_nanos() as u64);
    let rows = view.rows::<Key, Value>().into_iter().flatten().take(1000);
    let few = rows.map(|(k, v)| u64::from(k.id) + u64::from(v.kind) + u64::from(v.id) + u64::from(v.more[4]));
    sum = few.fold(sum, u64::wrapping_add);
    let rows = view.rows::<[u8; 4], u64>().into_iter().flatten().take(1000);
    sum = rows.map(|(k, v)| u64::from(k[3]) ^ v).fold(sum, u64::wrapping_add);
    sum = sum.wrapping_add(view.keys::<u32>().into_iter().flatten().take(1000).map(u64::from).sum());
    for (_, slots) in view.rows_per_cpu::<u32, u64>().into_iter().flatten().take(1000) {
        sum = slots.iter().take(1000).fold(sum, u64::wrapping_add);
    }
    for event in view.events::<u64>().into_iter().flatten().take(1000) {
        sum = sum.wrapping_add(event.unwrap_or(1));
    }
    sum
}

fn bytes(batch: &Batch<'_>) -> usize {
    (0..batch.rows.min(1000))
        .map(|i| match batch.kind {
            ringside::Kind::Rows => batch.key(i).len() + batch.value(i).len(),
            ringside::Kind::Deletes => batch.key(i).len(),
            _ => batch.event(i).len(),
        })
        .sum()
}

fn read(image: &[u8], start: Start) {
    let mut sub = match Subscription::open_bytes(image, Options { start, ..Default::default() }) {
        Ok(sub) => sub,
        Err(_) => return,
    };
    let _ = sub.sources();
    // A frame has 64 bytes at least; a loss and a frame are two steps.
    for step in 0.. {
        assert!(step < 2 * (image.len() / 64) + 256, "does not end");
        let more = if step % 3 == 0 {
            sub.view(touch).map(|seen| seen.is_some())
        } else {
            sub.next().map(|batch| batch.map(|b| (touch(&b), bytes(&b), bytes(&b.to_owned().batch()))).is_some())
        };
        match more {
            Ok(true) => {}
            Ok(false) | Err(_) => break,
        }
    }
    assert!(sub.stats().frames <= (image.len() / 64) as u64 + 64);
}

#[test]
fn no_image_does_harm() {
    let rounds: usize = env::var("RINGSIDE_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut images = 0;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|p| p.extension().map_or(false, |e| e == "ring")) {
        let image = fs::read(path).unwrap();
        for from in [Start::Default, Start::Keyframe, Start::Head, Start::Beginning] {
            read(&image, from);
            for _ in 0..rounds {
                let mut mutated = image.clone();
                mutate(&mut mutated, &mut random);
                read(&mutated, from);
            }
        }
        images += 1;
    }
    assert!(images > 100, "the golden images are missing");
}

#[test]
fn no_schema_does_harm() {
    let text = r#"{"version":1,"key":{"kind":"uint","size":4},"value":{"kind":"struct","name":"struct v","size":8,"fields":[
        {"name":"kind","offset":0,"type":{"kind":"uint","size":1}},{"offset":1,"type":{"kind":"union","size":2,"fields":[
        {"name":"id","offset":0,"type":{"kind":"uint","size":2}},{"name":"b","offset":0,"bit_size":3,"type":{"kind":"uint","size":2}}]}},
        {"name":"more","offset":3,"type":{"kind":"array","size":5,"count":5,"elem":{"kind":"char","size":1}}}]}}"#;
    let mut random = Random(42);
    for round in 0..3000 {
        let mut text = text.as_bytes().to_vec();
        for _ in 0..if round == 0 { 0 } else { 1 + random.below(3) } {
            let at = random.below(text.len());
            text[at] = match random.below(3) {
                0 => b"{}[]\",:0123456789"[random.below(17)],
                1 => text[random.below(text.len())],
                _ => random.next() as u8,
            };
        }
        let mut image = common::Image::new(4096);
        image.source("s", 4, 8, std::str::from_utf8(&text).unwrap_or("{"));
        image.frame(common::ROWS, common::WHOLE, &[(1, 2), (3, 4)]);
        let mut sub = Subscription::open_bytes(&image.bytes, Default::default()).unwrap();
        let batch = sub.next().unwrap().unwrap();
        let fits = batch.rows::<Key, Value>().map(|rows| rows.count());
        if round == 0 {
            assert_eq!(fits, Ok(2));
        }
    }
}

/// A named pipe is no image, and is not waited for though nobody writes into it.
#[test]
fn a_pipe_is_no_image() {
    let path = env::temp_dir().join(format!("ringside-pipe-{}", std::process::id()));
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let opened = Subscription::open_file(&path, Options::default());
    fs::remove_file(&path).unwrap();
    assert!(opened.is_err());
}
