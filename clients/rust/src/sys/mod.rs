// SPDX-License-Identifier: Apache-2.0

//! The only module with unsafe code. What it offers to the others is safe whatever they do with it, and
//! whatever a ring's memory holds.
//!
//! A ring is written by another process while it is read here. No reference (`&[u8]`, `&u64`) is ever made to
//! such memory, because the compiler may take for granted that what a reference names does not change. It is
//! read through raw pointers, by relaxed atomic loads of up to eight bytes, which the language guarantees to
//! work on memory that is mapped read-only. Order comes from fences.
#![allow(unsafe_code)]

pub(crate) mod ffi;
pub(crate) mod file;
pub(crate) mod memory;
pub(crate) mod poll;
pub(crate) mod socket;
pub(crate) mod strided;

mod place;

pub(crate) use place::bytes_of;
pub use place::Place;

// Stated, so that a change that takes it away does not compile: a ring may be read by any thread.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<memory::Memory>();
    shared::<Place<'static>>();
};
