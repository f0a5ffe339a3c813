// SPDX-License-Identifier: Apache-2.0

//! Shows who makes the most system calls while `ringside demo` runs:
//! `RINGSIDE_SOCKET=$(echo /run/ringside/demo/*/ringside.sock) cargo run --example top_talkers`

use std::collections::HashMap;

use ringside::{Options, Subscription};

ringside::row! {
    struct Syscall {
        process: u32,
        thread: u32,
        number: i32,
    }

    struct Count {
        calls: u64,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sub = Subscription::attach(Options { source: "syscalls".into(), ..Default::default() })?;
    let (mut calls, mut whole) = (HashMap::new(), false); // of one scan, by process
    while let Some(batch) = sub.next()? {
        if batch.first {
            calls.clear();
        }
        whole = batch.first || whole && batch.kind == ringside::Kind::Rows;
        for (key, slots) in batch.rows_per_cpu::<Syscall, Count>()? {
            *calls.entry(key.process).or_insert(0) += slots.iter().map(|count| count.calls).sum::<u64>();
        }
        if batch.last && whole {
            let mut top: Vec<_> = calls.iter().collect();
            top.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
            println!("{:?}", &top[..top.len().min(10)]);
        }
    }
    Ok(())
}
