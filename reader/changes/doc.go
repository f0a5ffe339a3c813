// SPDX-License-Identifier: Apache-2.0

// Package changes turns scans into what has changed since the scan before.
//
// A [Stage] is a destination between any engine and the real one. It lends the
// engine private memory, compares each row with what was last published of its
// key, and sends on rows that are new or different and keys that are gone. A
// scan in which nothing changed publishes nothing. Every now and then, and when
// somebody asks, a scan is a keyframe: all rows.
//
//	engine ──rows──▶ Stage ──changed rows, deleted keys──▶ ring
//	                   │
//	                history: every row as it was last published
//
// Scans of one map come in nearly the same order each time. So a row is looked
// for where it should be, behind the one that was before it last time; only
// where that fails, an index by key is asked, and the order corrected.
//
// What is believed. A reader of a hash can miss a key that is there: an update
// links the new element before it unlinks the old, and both can be passed by.
// A key is taken for deleted after it was absent from two scans and a lookup did
// not find it either. Until then it stays published; keyframes repeat it.
//
// Who writes: the worker that scans the source, through [reader.Source.Scan].
// Anyone may call Want and Stats.
//
// What may go wrong. A scan that does not come to its end, or a frame that
// cannot be published, leaves the history ahead of what consumers know: the next
// scan is a keyframe then. Memory is bounded by a [Budget] that stages share; a
// map that does not fit is published in full, and Stats says so.
package changes
