// SPDX-License-Identifier: Apache-2.0

//! Prints the rows of a map of flows: the same program in every language.

use ringside::{Kind, Options, Subscription};

ringside::row! {
    struct Flow { src: u32, dst: u32 } // as C has it: struct flow { __u32 src, dst; }
    struct Stats { packets: u64, bytes: u64 }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options { source: "flows".into(), ..Default::default() };
    let mut sub = Subscription::attach(options)?; // an error names the socket, the cause and the remedy
    while let Some(batch) = sub.next()? {
        if batch.kind == Kind::Lost {
            eprintln!("lost {} rows", batch.lost.rows);
        }
        // An error names the first field that differs.
        for (flow, stats) in batch.rows::<Flow, Stats>()? {
            println!("{:08x} {:08x} {}", flow.src, flow.dst, stats.bytes);
        }
    }
    Ok(())
}
