package netbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sort"

	"golang.org/x/sync/errgroup"
)

const (
	pageSize = 1000    // MAX_PAGE_SIZE by default; servers may cap it lower
	maxRows  = 1 << 20 // of one listing; more is no inventory that we know what to do with
	maxPage  = 128 << 20
)

// A listing reads all rows of one endpoint that its filters select. T is what
// is kept of a row.
type listing[T any] struct {
	what  string // for errors: "devices"
	query url.Values
	row   func(data []byte) (T, error) // may overwrite data, must not keep it
	// fetch sends the request for one page.
	fetch func(ctx context.Context, limit, offset int32) (*http.Response, error)
	id    func(*T) int
	// size is the rows to ask for; 0 means pageSize.
	size int
}

// A page is one answer: what NetBox says there is, and what it sent.
type page[T any] struct {
	count int
	rows  []T
}

// read returns all rows, sorted by id. It demands that NetBox's count, the
// pages' lengths and the number of different ids agree. A listing that does
// not is read once more, because rows may have come and gone meanwhile.
func (l listing[T]) read(ctx context.Context, c *Client) ([]T, error) {
	rows, err := l.readOnce(ctx, c)
	if errors.Is(err, ErrIncomplete) {
		c.log().WarnContext(ctx, "netbox: reading again", "listing", l.what, "cause", err)
		rows, err = l.readOnce(ctx, c)
	}
	return rows, err
}

func (l listing[T]) readOnce(ctx context.Context, c *Client) ([]T, error) {
	if l.size == 0 {
		l.size = pageSize
	}
	first, err := l.page(ctx, c, 0)
	if err != nil {
		return nil, err
	}
	count, size := first.count, len(first.rows)
	switch {
	case count > maxRows:
		return nil, fmt.Errorf("reading %s from NetBox: it claims %d of them, which is more than %d; narrow the scope", l.what, count, maxRows)
	case size > count, size == 0 && count > 0, size < count && size > l.size:
		return nil, l.incomplete("count says %d, the first page holds %d", count, size)
	case size == count:
		return l.proven(first.rows, count)
	}
	pages := make([][]T, (count+size-1)/size)
	pages[0] = first.rows
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.parallel())
	for i := 1; i < len(pages); i++ {
		g.Go(func() error {
			p, err := l.page(ctx, c, i*size)
			if err != nil {
				return err
			}
			if want := min(size, count-i*size); p.count != count || len(p.rows) != want {
				return l.incomplete("the page at %d holds %d rows of %d, due are %d of %d", i*size, len(p.rows), p.count, want, count)
			}
			pages[i] = p.rows
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return l.proven(slices.Concat(pages...), count)
}

// proven checks the ids.
func (l listing[T]) proven(rows []T, count int) ([]T, error) {
	// Rows are large, and sorted already unless something is odd.
	if less := func(i, j int) bool { return l.id(&rows[i]) < l.id(&rows[j]) }; !sort.SliceIsSorted(rows, less) {
		sort.SliceStable(rows, less)
	}
	different := 0
	for i := range rows {
		id := l.id(&rows[i])
		if id <= 0 {
			return nil, fmt.Errorf("reading %s from NetBox: %w: a row without id", l.what, errMalformed)
		}
		if i == 0 || id != l.id(&rows[i-1]) {
			different++
		}
	}
	if different != count {
		return nil, l.incomplete("count says %d, the pages hold %d different ones", count, different)
	}
	return rows, nil
}

func (l listing[T]) incomplete(format string, args ...any) error {
	return fmt.Errorf("reading %s from NetBox: %w: "+format, append([]any{l.what, ErrIncomplete}, args...)...)
}

// page reads one page.
func (l listing[T]) page(ctx context.Context, c *Client, offset int) (page[T], error) {
	var p page[T]
	k := call{query: l.query, max: maxPage, sink: func(r io.Reader) error {
		p = page[T]{}
		var err error
		p.count, err = decodePage(r, func(data []byte) error {
			row, err := l.row(data)
			if len(p.rows) == cap(p.rows) {
				p.rows = slices.Grow(p.rows, max(len(p.rows), 100))
			}
			p.rows = append(p.rows, row)
			return err
		})
		return err
	}}
	err := c.get(ctx, l.what, k, func(ctx context.Context) (*http.Response, error) {
		return l.fetch(ctx, int32(l.size), int32(offset)) //nolint:gosec // both are below maxRows
	})
	return p, err
}

// decodeRow decodes a row of which everything is kept.
func decodeRow[T any](data []byte) (row T, err error) {
	if err := json.Unmarshal(data, &row); err != nil {
		return row, malformed(err)
	}
	return row, nil
}

func (c *Client) parallel() int {
	if c.Parallel > 0 {
		return c.Parallel
	}
	return 4
}
