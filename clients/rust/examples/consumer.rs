// SPDX-License-Identifier: Apache-2.0

//! Plays a consumer in the tests of this folder: it checks every row, says what happens, and ends with its input.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, BufRead};
use std::os::unix::io::AsRawFd;
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ringside::{Batch, Error, ErrorKind, Kind, Options, Start, Subscription, Table, View};

ringside::row! {
    /// The row's number, and its low half.
    #[derive(Eq, Hash)]
    struct Key {
        id: u32,
    }

    /// What follows from the row's number.
    #[derive(Eq)]
    struct Flow {
        row: u64,
        packets: u64,
        bytes: u64,
        errors: u64,
    }
}

impl Flow {
    fn make(row: u64) -> Flow {
        let word = |i: u32| row.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(u64::from(i)).rotate_left(i * 7);
        Flow { row, packets: word(1), bytes: word(2), errors: word(3) }
    }
}

/// Counts what is allocated.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        System.dealloc(at, layout)
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The input has ended.
static DONE: AtomicBool = AtomicBool::new(false);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (role, socket) = match &args[..] {
        [_, role, socket] => (role.as_str(), socket),
        _ => {
            eprintln!("usage: consumer read|poll|table|count|leaks|ask|fire SOCKET, or file FILE");
            exit(64)
        }
    };
    let options = Options { socket: socket.into(), start: Start::Oldest, ..Default::default() };
    let done = match role {
        "count" => count(options),
        "leaks" => leaks(options),
        "table" => table(options),
        "ask" => ask(options),
        "fire" => fire(options),
        "file" => file(socket),
        "poll" => read(options, polled),
        _ => read(options, |sub| sub.wait(Duration::from_millis(100))),
    };
    if let Err(e) = done {
        println!("error {:?} {}", e.kind(), e);
        exit(1);
    }
}

fn end_with_input() {
    thread::spawn(|| {
        for _ in io::stdin().lock().lines() {}
        DONE.store(true, Ordering::Relaxed);
    });
}

/// Says what happens, and at the end what it got.
fn read(options: Options, mut wait: impl FnMut(&mut Subscription) -> bool) -> Result<(), Error> {
    let mut sub = Subscription::attach(options)?;
    println!("attached");
    end_with_input();
    let mut batches = 0;
    while !DONE.load(Ordering::Relaxed) {
        if !wait(&mut sub) {
            continue;
        }
        while let Some(batch) = sub.try_next()? {
            match batch.kind {
                Kind::Rows => {
                    check(&batch);
                    batches += 1;
                    if batches % 100 == 1 {
                        println!("reading {}", batches);
                    }
                }
                Kind::Restart => println!("restart {}", batch.lost.exact),
                Kind::Lost => println!("lost {} {} {}", batch.lost.frames, batch.lost.rows, batch.lost.exact),
                kind => println!("{}", kind.name()),
            }
        }
    }
    let s = sub.stats();
    println!("end {} {} {} {} {}", s.frames, s.rows, s.lost_frames, s.lost_rows, s.restarts);
    Ok(())
}

/// As a program with a loop of its own waits.
fn polled(sub: &mut Subscription) -> bool {
    #[repr(C)]
    struct PollFd {
        fd: i32,
        events: i16,
        seen: i16,
    }
    extern "C" {
        fn poll(fds: *mut PollFd, n: u64, ms: i32) -> i32;
    }
    if let Some(limit) = sub.arm() {
        let mut fd = PollFd { fd: sub.as_raw_fd(), events: 1, seen: 0 };
        // SAFETY: one descriptor is there, as is said.
        unsafe { poll(&mut fd, 1, limit.as_millis().min(100) as i32) };
    }
    true
}

/// Reads a file to its end.
fn file(path: &str) -> Result<(), Error> {
    let mut sub = Subscription::open_file(path, Options::default())?;
    for batch in sub.batches() {
        check(&batch?.batch());
    }
    println!("file {} {}", sub.stats().rows, sub.stats().lost_rows);
    Ok(())
}

fn check(batch: &Batch<'_>) {
    let rows = batch.rows::<Key, Flow>().unwrap_or_else(|e| wrong(&e.to_string()));
    for (key, flow) in rows {
        if flow != Flow::make(flow.row) || key.id != flow.row as u32 {
            wrong(&format!("torn row: {:?} {:?}", key, flow));
        }
    }
}

fn wrong(what: &str) -> ! {
    println!("wrong {}", what);
    exit(1)
}

fn line() {
    let mut line = String::new();
    let _ = io::stdin().read_line(&mut line);
}

/// Between two lines of input it only reads: what is left in the ring, one half copied, one half in place.
fn count(options: Options) -> Result<(), Error> {
    let mut sub = Subscription::attach(options)?;
    sub.wait(Duration::from_secs(30));
    sub.view(sum)?; // the first batch of a source looks its types up
    let (rows, frames) = (sub.stats().rows, sub.stats().lag_frames);
    println!("ready {} {}", std::process::id(), frames);
    line();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let mut total = 0u64;
    for i in 0..frames {
        if i < frames / 2 {
            total = total.wrapping_add(sub.next()?.map_or(0, |batch| sum(&batch)));
        } else {
            total = total.wrapping_add(sub.view(sum)?.unwrap_or(0));
        }
    }
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    if allocations != 0 {
        wrong(&format!("{} allocations", allocations));
    }
    println!("done {} {}", sub.stats().rows - rows, total);
    line();
    Ok(())
}

fn sum(view: &View<'_>) -> u64 {
    let rows = view.rows::<Key, Flow>().unwrap_or_else(|e| wrong(&e.to_string()));
    rows.fold(0, |sum: u64, (key, flow)| sum.wrapping_add(flow.bytes).wrapping_add(u64::from(key.id)))
}

/// Attaches and drops again and again; the last lines are what is open and mapped before and after.
fn leaks(options: Options) -> Result<(), Error> {
    let open = || std::fs::read_dir("/proc/self/fd").map_or(0, |dir| dir.count());
    let mapped = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        maps.lines().filter(|l| l.contains("memfd:")).count()
    };
    let before = (open(), mapped());
    for _ in 0..50 {
        let mut sub = Subscription::attach(options.clone())?;
        sub.try_next()?;
        assert!(mapped() > before.1);
    }
    let refused = Options { ring: "no such ring".into(), ..options };
    for _ in 0..10 {
        assert!(Subscription::attach(refused.clone()).is_err());
    }
    println!("before {} {}", before.0, before.1);
    println!("after {} {}", open(), mapped());
    Ok(())
}

/// Keeps a table, and says its content whenever it changes.
fn table(options: Options) -> Result<(), Error> {
    let mut sub = Subscription::attach(options)?;
    let mut table = Table::<Key, Flow>::new("flows");
    println!("attached");
    while table.follow(&mut sub)? {
        let mut ids: Vec<_> = table.iter().map(|(k, v)| (k.id, v.bytes)).collect();
        ids.sort_unstable();
        println!("table {} {} {:?}", table.is_fresh(), table.scan(), ids);
    }
    Ok(())
}

/// Asks for a keyframe of a source, and of one that is not there.
fn ask(options: Options) -> Result<(), Error> {
    let sub = Subscription::attach(options)?;
    sub.ask(Some("flows"))?;
    match sub.ask(Some("nothing")) {
        Err(e) if e.kind() == ErrorKind::NotFound => println!("asked"),
        other => wrong(&format!("{:?}", other)),
    }
    line();
    sub.ask(None)?;
    println!("asked all");
    line();
    Ok(())
}

/// Checks rows in place until the sidecar has gone, and says how many there were and how many were lost.
fn fire(options: Options) -> Result<(), Error> {
    let mut sub = Subscription::attach(options)?;
    println!("attached");
    let torn = |view: &View<'_>| {
        let mut rows = view.rows::<Key, Flow>().unwrap_or_else(|e| wrong(&e.to_string()));
        let torn = rows.find(|(key, flow)| *flow != Flow::make(flow.row) || key.id != flow.row as u32);
        (view.kind, torn)
    };
    while let Some((kind, torn)) = sub.view(torn)? {
        if let Some(row) = torn {
            wrong(&format!("torn row: {:?}", row));
        }
        if kind == Kind::Gone {
            println!("gone {} {}", sub.stats().rows, sub.stats().lost_rows);
            return Ok(());
        }
    }
    Ok(())
}
