// SPDX-License-Identifier: Apache-2.0

//! Prints what a ring image holds, from its very beginning, as clients/testdata expects it of every client.

use std::fmt::Write;
use std::{env, fs, process};

use ringside::{Batch, ErrorKind, Kind, Options, Start, Stats, Subscription};

fn main() {
    let path = env::args().nth(1).unwrap_or_else(|| usage());
    let bytes = fs::read(&path).unwrap_or_else(|e| {
        eprintln!("{}: {}", path, e);
        process::exit(1);
    });
    print!("{}", reading(&bytes));
}

fn usage() -> ! {
    eprintln!("usage: conform FILE.ring");
    process::exit(64);
}

/// The whole reading, as lines of JSON.
pub fn reading(bytes: &[u8]) -> String {
    let mut out = String::new();
    let (stats, error) =
        match Subscription::open_bytes(bytes, Options { start: Start::Beginning, ..Default::default() }) {
            Ok(mut sub) => {
                let error = read(&mut sub, &mut out);
                (sub.stats(), error)
            }
            Err(_) => (Stats::default(), "refused"),
        };
    let _ = writeln!(
        out,
        r#"{{"kind":"end","frames":{},"rows":{},"lost_frames":{},"lost_rows":{},"laps":{},"error":"{}"}}"#,
        stats.frames, stats.rows, stats.lost_frames, stats.lost_rows, stats.laps, error
    );
    out
}

fn read(sub: &mut Subscription, out: &mut String) -> &'static str {
    loop {
        match sub.next() {
            Ok(Some(batch)) => line(&batch, out),
            Ok(None) => return "",
            Err(e) if e.kind() == ErrorKind::Lapped => return "lapped",
            Err(_) => return "corrupt",
        }
    }
}

fn line(b: &Batch<'_>, out: &mut String) {
    let kind = b.kind.name();
    if b.kind == Kind::Lost {
        let _ = writeln!(
            out,
            r#"{{"kind":"{}","frames":{},"rows":{},"exact":{}}}"#,
            kind, b.lost.frames, b.lost.rows, b.lost.exact
        );
        return;
    }
    let _ = write!(
        out,
        r#"{{"kind":"{}","source":"{}","seq":{},"scan":{},"first":{},"last":{},"keyframe":{},"rows":["#,
        kind,
        escaped(b.source_name()),
        b.seq,
        b.scan,
        b.first,
        b.last,
        b.keyframe
    );
    for i in 0..b.rows {
        let comma = if i > 0 { "," } else { "" };
        let _ = match b.kind {
            Kind::Rows => write!(out, r#"{}["{}","{}"]"#, comma, hex(b.key(i)), hex(b.value(i))),
            Kind::Deletes => write!(out, r#"{}["{}"]"#, comma, hex(b.key(i))),
            _ => write!(out, r#"{}["{}"]"#, comma, hex(b.event(i))),
        };
    }
    out.push_str("]}\n");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{:02x}", b)).collect()
}

fn escaped(name: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{}", c),
        c if (c as u32) < 0x20 => format!("\\u{:04x}", c as u32),
        c => c.to_string(),
    };
    name.chars().map(escape).collect()
}
