// SPDX-License-Identifier: Apache-2.0

//! What a row costs a consumer that looks at the key and at one field of every value: rows of 4 and 32 bytes that
//! lie in the ring already, read in a lease and as copies.
//!
//! `bench SOCKET [PASSES]` attaches to a ring that nobody writes at the moment and reads all of it, again and
//! again. It prints the fastest pass of each way as JSON.

use std::time::Instant;

use ringside::{Options, Start, Subscription, View};

ringside::row! {
    struct Key {
        id: u32,
    }

    struct Flow {
        row: u64,
        packets: u64,
        bytes: u64,
        errors: u64,
    }
}

fn sum(view: &View<'_>) -> u64 {
    match view.rows::<Key, Flow>() {
        Ok(rows) => rows.fold(0, |sum: u64, (key, flow)| sum.wrapping_add(flow.bytes).wrapping_add(u64::from(key.id))),
        Err(e) => panic!("{}", e),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let socket = args.next().ok_or("usage: bench SOCKET [PASSES]")?;
    let passes: usize = args.next().map_or(Ok(100), |n| n.parse())?;
    let options = Options { socket: socket.into(), start: Start::Oldest, ..Default::default() };
    let (mut lease, mut copies, mut rows, mut total) = (f64::MAX, f64::MAX, 0, 0u64);
    for pass in 0..passes * 2 {
        let mut sub = Subscription::attach(options.clone())?;
        sub.view(sum)?; // with the first batch of a source its types are looked up
        let (frames, warm) = (sub.stats().lag_frames, sub.stats().rows);
        let began = Instant::now();
        for _ in 0..frames {
            let more = if pass % 2 == 0 { sub.view(sum)? } else { sub.next()?.map(|batch| sum(&batch)) };
            total = total.wrapping_add(more.unwrap_or(0));
        }
        let elapsed = began.elapsed().as_nanos() as f64;
        rows = sub.stats().rows - warm;
        let best = if pass % 2 == 0 { &mut lease } else { &mut copies };
        *best = best.min(elapsed / rows as f64);
    }
    println!(
        r#"{{"client":"rust","rows":{},"lease_ns_per_row":{:.3},"copies_ns_per_row":{:.3},"sum":{}}}"#,
        rows, lease, copies, total
    );
    Ok(())
}
