// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/hex"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Append appends data, one value of type t, as JSON:
//
//   - integers and addresses exactly; enums by name, else by number
//   - arrays of char as a string if a NUL ends printable text, else like bytes
//   - bytes, and arrays of one-byte unsigned integers, as lowercase hex
//   - structs as objects, anonymous members merged into theirs; unions as
//     objects with all members
//   - NaN and infinities, which JSON lacks, as strings
//
// What data is too short for is null; bytes beyond the type are not shown. A
// nil type is bytes. The type must have passed Check.
func (t *Type) Append(dst, data []byte) []byte {
	if t == nil {
		return appendHex(dst, data)
	}
	switch t.Kind {
	case Struct, Union:
		dst = append(dst, '{')
		dst, _ = t.appendFields(dst, data, true)
		return append(dst, '}')
	case Array:
		return t.appendArray(dst, data)
	case Bytes:
		return appendHex(dst, data[:min(t.Size, len(data))])
	}
	if len(data) < t.Size {
		return append(dst, "null"...)
	}
	return t.appendScalar(dst, data[:t.Size])
}

// AppendPerCPU appends a per-CPU value, cpus values of equal stride, as a list
// by CPU.
func AppendPerCPU(dst []byte, t *Type, data []byte, cpus int) []byte {
	dst = append(dst, '[')
	for i := range max(cpus, 0) {
		if i > 0 {
			dst = append(dst, ',')
		}
		stride := len(data) / cpus
		dst = t.Append(dst, data[i*stride:(i+1)*stride])
	}
	return append(dst, ']')
}

// appendFields appends the members; first says that none precedes them.
func (t *Type) appendFields(dst, data []byte, first bool) ([]byte, bool) {
	for i := range t.Fields {
		f := &t.Fields[i]
		at := data[min(f.Offset, len(data)):]
		if f.Name == "" && (f.Type.Kind == Struct || f.Type.Kind == Union) {
			dst, first = f.Type.appendFields(dst, at, first)
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendString(dst, f.Name), ':')
		if f.BitSize > 0 {
			dst = f.appendBits(dst, at)
		} else {
			dst = f.Type.Append(dst, at)
		}
	}
	return dst, first
}

func (t *Type) appendArray(dst, data []byte) []byte {
	data = data[:min(t.Size, len(data))]
	switch {
	case t.Elem.Kind == Char:
		if text, ok := printable(data); ok {
			return appendText(dst, text)
		}
		return appendHex(dst, data)
	case t.Elem.Kind == Uint && t.Elem.Size == 1:
		return appendHex(dst, data)
	}
	dst = append(dst, '[')
	for i := range t.Count {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = t.Elem.Append(dst, data[min(i*t.Elem.Size, len(data)):])
	}
	return append(dst, ']')
}

// printable is the text before the first NUL, if there is one and all of it
// can be shown.
func printable(b []byte) ([]byte, bool) {
	end := 0
	for end < len(b) && b[end] != 0 {
		r, n := utf8.DecodeRune(b[end:])
		if r == utf8.RuneError && n <= 1 || !unicode.IsPrint(r) {
			return nil, false
		}
		end += n
	}
	if end >= len(b) {
		return nil, false
	}
	return b[:end], true
}

// appendText appends printable text, which needs no escapes but for JSON's own.
func appendText(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, c := range text {
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

func appendHex(dst, data []byte) []byte {
	dst = append(dst, '"')
	dst = hex.AppendEncode(dst, data)
	return append(dst, '"')
}

// appendString appends a JSON string. Names come from other programs: control
// characters and broken UTF-8 must not reach a terminal.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case unicode.IsPrint(r):
			dst = utf8.AppendRune(dst, r)
		case r < 0x10000:
			const digits = "0123456789abcdef"
			dst = append(dst, '\\', 'u', digits[r>>12], digits[r>>8&15], digits[r>>4&15], digits[r&15])
		default:
			dst = utf8.AppendRune(dst, utf8.RuneError)
		}
	}
	return append(dst, '"')
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	if f-f != 0 { // NaN or infinite
		dst = append(dst, '"')
		dst = strconv.AppendFloat(dst, f, 'g', -1, bits)
		return append(dst, '"')
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}
