// SPDX-License-Identifier: Apache-2.0

// Package protodoc reads the tables of docs/protocol.md, so that tests can hold
// them against the constants of the packages that they describe.
//
// Who uses it: *_test.go files only. What may go wrong: the document was edited
// and the code was not, or the other way round; then a test fails and names the
// table and the field.
package protodoc
