// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
)

// seed makes the hashes of a table its own: who can choose keys, by sending
// packets say, must not be able to choose where they lie.
type seed struct {
	short [3]uint64
	long  maphash.Seed
}

func newSeed() seed {
	// Of the runtime's own generator, which is a cryptographic one.
	return seed{[3]uint64{rand.Uint64(), rand.Uint64(), rand.Uint64()}, maphash.MakeSeed()}
}

// hash is maphash for long keys. Those of up to 16 bytes, which most maps have,
// are spared the call by what Go's runtime does where it has no better
// instructions: two rounds of multiplying and folding (wyhash).
func (s *seed) hash(key []byte) uint32 {
	le := binary.LittleEndian
	var a, b uint64
	switch n := len(key); {
	case n > 16 || n < 4:
		return uint32(maphash.Bytes(s.long, key) >> 32)
	case n > 8: // the two may overlap
		a, b = le.Uint64(key), le.Uint64(key[n-8:])
	default:
		a = uint64(le.Uint32(key)) | uint64(le.Uint32(key[n-4:]))<<32
		b = a
	}
	return s.mix(a, b)
}

func (s *seed) mix(a, b uint64) uint32 {
	return uint32(fold(s.short[2], fold(a^s.short[0], b^s.short[1])))
}

func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}
