package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// pageSize is how many items one request of an iterator asks for.
const pageSize = 100

// paged adds the size of a page to a query.
func paged(query url.Values) url.Values {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", strconv.Itoa(pageSize))
	return query
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T
	Next  string // the cursor of the next page; "" at the end
}

// pages walks all pages of a list. fetch reads one page.
func pages[T any](ctx context.Context, fetch func(ctx context.Context, cursor string) (Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		cursor := ""
		for {
			page, err := fetch(ctx, cursor)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			// A cursor that repeats would be walked for ever.
			if page.Next == "" || page.Next == cursor {
				return
			}
			cursor = page.Next
		}
	}
}

// Collect reads an iterator to its end, or to its first error.
func Collect[T any](items iter.Seq2[T, error]) ([]T, error) {
	list := []T{}
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, nil
}

// list reads a page of a list whose items are under the given JSON name. Lists
// that come whole take no limit.
func list[T any](ctx context.Context, c *Client, path, items string, query url.Values, cursor string) (Page[T], error) {
	q := url.Values{}
	for k, v := range query {
		q[k] = v
	}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	var answer listAnswer[T]
	answer.items = items
	if _, err := c.do(ctx, call{method: http.MethodGet, path: path, query: q}, &answer); err != nil {
		return Page[T]{}, err
	}
	return Page[T]{Items: answer.list, Next: answer.next}, nil
}
