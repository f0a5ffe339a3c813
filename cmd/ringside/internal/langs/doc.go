// SPDX-License-Identifier: Apache-2.0

// Package langs writes down what a row looks like, in the language of who will
// read it: definitions in [Go], [C], [Rust] and for numpy ([Python]), from the
// C types of a map's key and value.
//
// Who reads: a compiler, and after it the layout checks of the clients, which
// hold such a definition against the map again whenever they attach. So every
// byte of a definition is accounted for. What a language cannot lay out as C did
// (packed fields in Go, bitfields, unions) becomes plain bytes at the right
// place with functions that read them; padding is spelled out; and where the
// language can be made to say so, it asserts every offset and every size.
//
// What may go wrong: the names come from somebody else's program. What is no
// identifier is never printed, and what a language reserves gets an underscore.
package langs
