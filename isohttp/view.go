package isohttp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/metalcue/metalcue/isohttp/iso9660"
)

// Piece is a run of a view's bytes.
type Piece = iso9660.Piece

// View is what a medium serves: an immutable image, made of pieces that follow
// each other without gaps from 0 to Size. [iso9660.View] is one.
type View interface {
	io.ReaderAt
	Size() int64
	Pieces() []Piece
	// Digest identifies the view's bytes, given the digest of the base image.
	Digest(baseSHA256 string) string
}

var _ View = (*iso9660.View)(nil)

// content is a view as the server uses it: checked, with the header fields that
// are the same in every answer.
type content struct {
	size     int64
	pieces   []Piece
	etag     string
	modified time.Time
	boundary string // between the parts of a multipart answer
	file     *baseFile
	fields   []byte // the header fields below and some more, as they are sent

	// header field values, shared by all answers; net/http only reads them
	etagField, modifiedField, lengthField, multipartField []string
}

// firstModified is the earliest Last-Modified that a view can have.
var firstModified = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// modifiedOf derives the Last-Modified of a view from its digest, as a moment of
// the eight years from firstModified on. No clock and no count of replacements
// has part in it: a server that was restarted gives every view the one it had,
// and what was read of one view is never completed with another's bytes.
func modifiedOf(sum [sha256.Size]byte) time.Time {
	return firstModified.Add(time.Duration(binary.BigEndian.Uint32(sum[:])>>4) * time.Second)
}

// newContent checks a view against its base.
func newContent(v View, base Base, file *baseFile) (*content, error) {
	c := &content{size: v.Size(), pieces: v.Pieces(), file: file}
	if err := checkPieces(c.pieces, c.size, base.Size); err != nil {
		return nil, err
	}
	digest := v.Digest(base.SHA256)
	if digest == "" {
		return nil, errors.New("view has no digest")
	}
	// Hashed, for a digest may be of any form and an entity tag may not.
	sum := sha256.Sum256([]byte(digest))
	c.etag = `"` + hex.EncodeToString(sum[:16]) + `"`
	c.boundary = hex.EncodeToString(sum[16:])
	c.modified = modifiedOf(sum)
	c.etagField = []string{c.etag}
	c.modifiedField = []string{c.modified.Format(httpTime)}
	c.fields = []byte("Accept-Ranges: bytes\r\nCache-Control: " + cacheControl[0] + "\r\nContent-Type: " + octetStream[0] +
		"\r\nEtag: " + c.etag + "\r\nLast-Modified: " + c.modifiedField[0] + "\r\n")
	c.lengthField = []string{strconv.FormatInt(c.size, 10)}
	c.multipartField = []string{"multipart/byteranges; boundary=" + c.boundary}
	return c, nil
}

const httpTime = "Mon, 02 Jan 2006 15:04:05 GMT"

// checkPieces makes sure that pieces are what [View] promises, so that no
// request can leave the base image.
func checkPieces(pieces []Piece, size, baseSize int64) error {
	if size <= 0 {
		return fmt.Errorf("view has a size of %d bytes", size)
	}
	var at int64
	for i, p := range pieces {
		switch {
		case p.Off != at || p.Len <= 0 || p.Len > size-at:
			return fmt.Errorf("piece %d of the view: [%d, +%d) does not follow %d within %d bytes", i, p.Off, p.Len, at, size)
		case p.Base && (p.BaseOff < 0 || p.Len > baseSize || p.BaseOff > baseSize-p.Len):
			return fmt.Errorf("piece %d of the view: [%d, +%d) lies outside the base image of %d bytes", i, p.BaseOff, p.Len, baseSize)
		case !p.Base && p.Data != nil && int64(len(p.Data)) != p.Len:
			return fmt.Errorf("piece %d of the view: %d bytes of data for a length of %d", i, len(p.Data), p.Len)
		}
		at += p.Len
	}
	if at != size {
		return fmt.Errorf("pieces of the view end at %d, its size is %d", at, size)
	}
	return nil
}

// find returns the index of the piece that holds the byte at off.
func (c *content) find(off int64) int {
	i, j := 0, len(c.pieces)
	for i < j {
		if m := int(uint(i+j) >> 1); c.pieces[m].Off+c.pieces[m].Len <= off {
			i = m + 1
		} else {
			j = m
		}
	}
	return i
}

// cursor walks over a range of a content, segment by segment.
type cursor struct {
	c        *content
	i        int
	off, end int64
}

func (c *content) cursor(off, n int64) cursor {
	return cursor{c: c, i: c.find(off), off: off, end: off + n}
}

// segment is a part of a piece: data, or n bytes of the base at at.
type segment struct {
	data []byte
	at   int64
	n    int64
}

// peek returns the next segment, of at most limit bytes, without moving.
func (k *cursor) peek(limit int64) segment {
	p := &k.c.pieces[k.i]
	skip := k.off - p.Off
	n := min(p.Len-skip, k.end-k.off, limit)
	if p.Base {
		return segment{at: p.BaseOff + skip, n: n}
	}
	if p.Data == nil {
		n = min(n, int64(len(zeros)))
		return segment{data: zeros[:n], n: n}
	}
	return segment{data: p.Data[skip : skip+n], n: n}
}

// zeros is what pieces of zeros are sent from.
var zeros [64 << 10]byte

// move goes n bytes on, not beyond the current piece.
func (k *cursor) move(n int64) {
	k.off += n
	if p := &k.c.pieces[k.i]; k.off == p.Off+p.Len {
		k.i++
	}
}

func (k *cursor) done() bool { return k.off == k.end }

func (k *cursor) left() int64 { return k.end - k.off }

// Read reads on from the cursor, as far as p goes.
func (k *cursor) Read(p []byte) (n int, err error) {
	if k.done() {
		return 0, io.EOF
	}
	for n < len(p) && !k.done() {
		s := k.peek(int64(len(p) - n))
		if s.data != nil {
			copy(p[n:], s.data)
		} else if err := k.c.file.readAt(p[n:n+int(s.n)], s.at); err != nil {
			return n, err
		}
		k.move(s.n)
		n += int(s.n)
	}
	return n, nil
}
