package marker

import (
	"crypto/sha256"
	"encoding/binary"
)

// The lengths of what is written in base32, in characters of five bits.
const (
	specLen   = 8
	configLen = 5
	leaseLen  = 7
)

// alphabet is Crockford's base32: no i, l, o or u.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// SpecDigest returns 40 bits of a digest of parts, in order: what identifies an
// installation, such as the image's digest, the role and the generation.
func SpecDigest(parts ...string) string { return encode(digest("spec", parts), specLen) }

// ConfigDigest returns 25 bits of a digest of parts, in order: all else that
// the answer file is made of.
func ConfigDigest(parts ...string) string { return encode(digest("config", parts)>>15, configLen) }

// digest returns the first 40 bits of SHA-256 over kind and parts, each behind
// its length, so that no two lists run together to the same bytes.
func digest(kind string, parts []string) uint64 {
	h := sha256.New()
	var size [8]byte
	for _, p := range append([]string{"rc1 " + kind}, parts...) {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return binary.BigEndian.Uint64(h.Sum(nil)) >> 24
}

// encode returns the low 5n bits of v as n characters.
func encode(v uint64, n int) string {
	b := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		b[i] = alphabet[v&31]
		v >>= 5
	}
	return string(b)
}

// decode reverses encode. It takes n characters of the alphabet and no others:
// not upper case, not the look-alikes that Crockford lets a person type.
func decode(s string, n int) (uint64, bool) {
	if len(s) != n {
		return 0, false
	}
	var v uint64
	for i := range n {
		d := value(s[i])
		if d < 0 {
			return 0, false
		}
		v = v<<5 | uint64(d)
	}
	return v, true
}

// value returns the five bits that c stands for, or -1.
func value(c byte) int {
	for i := range len(alphabet) {
		if alphabet[i] == c {
			return i
		}
	}
	return -1
}
