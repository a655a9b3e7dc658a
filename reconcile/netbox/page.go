package netbox

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// maxRow bounds one row of a listing. Devices with contexts of this size do
// not exist.
const maxRow = 32 << 20

// decodePage reads one page of a listing and hands its rows on one by one, so
// that no more than one of them is held as text. It returns the count that
// NetBox claims. row may overwrite the text, and must not keep it.
func decodePage(r io.Reader, row func(data []byte) error) (count int, err error) {
	v := &values{r: r}
	count = -1
	listed := false
	err = v.each('{', '}', func(key []byte) error {
		switch string(key) {
		case "results":
			listed = true
			n := 0
			return v.each('[', ']', func([]byte) error {
				data, err := v.value()
				if err == nil {
					err = row(data)
				}
				if err != nil {
					return fmt.Errorf("row %d: %w", n, err)
				}
				n++
				return nil
			})
		case "count":
			data, err := v.value()
			if err != nil {
				return err
			}
			if err := json.Unmarshal(data, &count); err != nil {
				return malformed(err)
			}
			return nil
		}
		_, err := v.value()
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case count < 0 || !listed:
		return 0, fmt.Errorf("%w: a page without count or results", errMalformed)
	}
	return count, nil
}

// values cuts JSON into its values while it is being read, without decoding
// them.
type values struct {
	r    io.Reader
	buf  []byte
	rest []byte // what of buf is still to be looked at
	end  error  // of r
}

// each calls f before each value of an object or array; f reads it. Of an
// object it passes the key.
func (v *values) each(open, end byte, f func(key []byte) error) error {
	if err := v.expect(open); err != nil {
		return err
	}
	for first := true; ; first = false {
		b, err := v.peek()
		switch {
		case err != nil:
			return err
		case b == end:
			v.rest = v.rest[1:]
			return nil
		case !first:
			if err := v.expect(','); err != nil {
				return err
			}
		}
		var key []byte
		if open == '{' {
			data, err := v.value()
			if err != nil {
				return err
			}
			if stringEnd(data) != len(data) {
				return fmt.Errorf("%w: a member without key", errMalformed)
			}
			if key, err = keyOf(data); err != nil {
				return err
			}
			key = append([]byte(nil), key...) // reading on overwrites it
			if err := v.expect(':'); err != nil {
				return err
			}
		}
		if err := f(key); err != nil {
			return err
		}
	}
}

// expect reads one character.
func (v *values) expect(want byte) error {
	b, err := v.peek()
	if err != nil {
		return err
	}
	if b != want {
		return fmt.Errorf("%w: %q where %q was due", errMalformed, b, want)
	}
	v.rest = v.rest[1:]
	return nil
}

// peek returns the next character that is no white space.
func (v *values) peek() (byte, error) {
	for {
		if v.rest = skipSpace(v.rest); len(v.rest) > 0 {
			return v.rest[0], nil
		}
		if err := v.fill(); err != nil {
			return 0, err
		}
	}
}

// value returns the text of the next value, which is good until the next call.
func (v *values) value() ([]byte, error) {
	switch b, err := v.peek(); {
	case err != nil:
		return nil, err
	case strings.IndexByte(",:]}", b) >= 0:
		return nil, fmt.Errorf("%w: %q where a value was due", errMalformed, b)
	}
	for {
		if n := valueEnd(v.rest); n > 0 {
			data := v.rest[:n:n]
			v.rest = v.rest[n:]
			return data, nil
		}
		if err := v.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more. A body that ends within a value breaks off: it may be whole
// at the next try.
func (v *values) fill() error {
	if v.end != nil {
		return v.end
	}
	n := len(v.rest)
	if n > maxRow {
		return errTooLarge
	}
	buf := v.buf
	if len(buf) < 2*n+32<<10 {
		buf = make([]byte, 4*n+64<<10)
	}
	copy(buf, v.rest)
	v.buf = buf
	// An unfinished value is looked through again from its start, so that it
	// doubles before: bytes that come one by one cost no more than others.
	m, err := io.ReadAtLeast(v.r, buf[n:], max(n, 1))
	v.rest = buf[:n+m]
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if m > 0 {
		v.end = err // for the next time
		return nil
	}
	return err
}
