// SPDX-License-Identifier: Apache-2.0

//! Reads BPF maps without any privilege. A sidecar that may read the maps publishes their rows in shared memory;
//! this crate attaches to that memory and hands the rows to a Rust program, at the price of a memory read.
//!
//! # Attach and read
//!
//! Say once what a row looks like, as C has it. The types are compared with those of the map, and an error names
//! the field that differs.
//!
//! ```no_run
//! ringside::row! {
//!     struct Flow { src: [u8; 4], dst: [u8; 4] }
//!     struct Stats { packets: u64, bytes: u64 }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut sub = ringside::Subscription::attach(ringside::Options { source: "flows".into(), ..Default::default() })?;
//!     while let Some(batch) = sub.next()? {
//!         for (flow, stats) in batch.rows::<Flow, Stats>()? {
//!             println!("{:?} {:?} {}", flow.src, flow.dst, stats.bytes);
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! A batch is a private copy that the next call of [`Subscription::next`] overwrites, which the borrow checker
//! knows. [`Subscription::view`] saves the copy too: its rows are the ring's own bytes, and what was computed from
//! them counts only if they were not overwritten meanwhile. [`Table`] keeps the current content of a map.
//!
//! A scan of a map is one or more batches, from `first` to `last`. With `keyframe` it is everything the map held.
//!
//! # Loss
//!
//! The sidecar never waits for a reader of a lossy ring. One that is slower than a whole ring is overtaken, and
//! the stream says so, with exact numbers, in a batch of [`Kind::Lost`] before the rows that follow. When the
//! sidecar ends, a batch of [`Kind::Gone`] tells, the loop goes on trying, and [`Kind::Restart`] tells that rows
//! follow again and whether more can have been missed than was counted. None of this ends the loop; programs to
//! which it does not matter need not look.
//!
//! # What it costs
//!
//! While there is something to read, reading makes no system call and allocates nothing. A reader that has
//! nothing to read sleeps in `epoll_wait`, and costs the sidecar one flag.
//!
//! # Safety
//!
//! All unsafe code is in one module, `sys`, each block with its argument. Memory that another process writes is
//! read by relaxed atomic loads through raw pointers; no reference to it is ever made, and typed rows are values.
#![deny(unsafe_code)]
#![deny(missing_docs)]

mod attach;
mod batch;
mod cursor;
mod error;
mod events;
mod fit;
mod frame;
mod geometry;
mod json;
mod layout;
mod options;
mod page;
mod pulse;
mod reattach;
mod ring;
mod row;
mod rows;
mod schema;
mod source;
mod stream;
mod subscription;
mod sys;
mod table;

pub use batch::{Batch, Kind, Loss, OwnedBatch, View};
pub use error::{Error, ErrorKind, LayoutError};
pub use events::Events;
pub use options::{Options, Start, DEFAULT_RING, DEFAULT_SOCKET, SOCKET_ENV};
#[doc(hidden)]
pub use row::round_up;
pub use row::{Field, Pad, Plain, Shape};
pub use rows::{Keys, PerCpu, Rows, Slots};
pub use schema::{Schema, Type, TypeField, TypeKind};
pub use source::Source;
pub use subscription::{Stats, Subscription};
pub use sys::Place;
pub use table::Table;

// Stated, so that a change that takes it away does not compile.
const _: () = {
    const fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Subscription>();
    send_and_sync::<OwnedBatch>();
    send_and_sync::<View<'static>>();
    send_and_sync::<Table<u32, u64>>();
};
