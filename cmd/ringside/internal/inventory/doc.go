// SPDX-License-Identifier: Apache-2.0

// Package inventory says what is pinned in a bpffs and what ringside would do
// with it: the answer of `ringside maps`, as a document and as a table.
//
// Who reads: people who look for the right pin, and scripts, through the JSON
// form, which is a promise (schema_version). It writes nothing and keeps
// nothing open: each map is opened and probed for a moment.
//
// What may go wrong: an entry cannot be opened, vanishes, or is no map. It is
// listed as passed over, with the reason. Only when nothing at all can be
// looked at is there an error: no bpffs, no such directory, or no right to see
// any map.
package inventory
