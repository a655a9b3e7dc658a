package isohttp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
)

// tokenLen is the length of a token: 128 bits in base64url.
const tokenLen = 22

// Token derives the token of a medium from a key and what identifies the medium
// (host, spec, attempt), so that a server that was restarted with the same key
// offers the same medium at the same place. The key should hold at least 16
// random bytes: whoever can guess it can read every medium. Parts are
// length-prefixed: ("ab", "c") and ("a", "bc") give different tokens.
func Token(key []byte, parts ...string) string {
	mac := hmac.New(sha256.New, key)
	var length [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		mac.Write(length[:])
		io.WriteString(mac, p)
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

func checkToken(token string) error {
	if len(token) != tokenLen {
		return fmt.Errorf("token has %d characters, want %d", len(token), tokenLen)
	}
	for i := range len(token) {
		if !isAlnum(token[i]) && token[i] != '-' && token[i] != '_' {
			return fmt.Errorf("token has a character that is not [A-Za-z0-9_-] at %d", i)
		}
	}
	return nil
}

// maxName bounds the decorative host name in a path, so that with an IPv4
// address a URL stays under the 100 characters that every BMC takes.
const maxName = 40

// pathOf gives the path of a medium. Only the token identifies it; the name is
// for people who read it in a BMC's pages, and lets the path end in .iso.
func pathOf(token, host string) string {
	name := []byte(host)
	for i, c := range name {
		if !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			name[i] = '-'
		}
	}
	return pathPrefix + token + "/" + string(name[:min(len(name), maxName)]) + ".iso"
}

const pathPrefix = "/i/"

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
