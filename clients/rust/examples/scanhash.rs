// SPDX-License-Identifier: Apache-2.0

//! Prints a line for each whole scan of a map: how many rows it had, and a hash of them that does not depend on
//! their order. It does so in every language, so the lines of two readers of one ring can be compared: scanhash MAP

use ringside::{Kind, Options, Subscription};

fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let source = std::env::args().nth(1).ok_or("usage: scanhash MAP")?;
    let mut sub = Subscription::attach(Options { source, ..Default::default() })?;
    let (mut whole, mut rows, mut hash) = (false, 0, 0u64); // of the scan so far
    let (mut seen, mut lost) = (0, 0); // rows since attach
    while let Some(batch) = sub.next()? {
        if batch.kind != Kind::Rows {
            lost += batch.lost.rows;
            whole = false;
            continue;
        }
        if batch.first {
            (whole, rows, hash) = (true, 0, 0);
        }
        for i in 0..batch.rows {
            let row = batch.key(i).iter().chain(batch.value(i)).copied();
            hash = hash.wrapping_add(fnv1a(row));
        }
        rows += batch.rows;
        seen += batch.rows;
        if batch.last && whole {
            println!(
                r#"{{"scan":{},"rows":{},"hash":"{:016x}","seen":{},"lost":{}}}"#,
                batch.scan, rows, hash, seen, lost
            );
        }
    }
    Ok(())
}
