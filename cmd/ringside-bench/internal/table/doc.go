// SPDX-License-Identifier: Apache-2.0

// Package table lays out small tables twice from one description: for a
// terminal, and as Markdown for the report. What is printed and what is
// published can thus not differ.
package table
