package cloudflare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/dnsproviders"
)

// client sends requests with one token.
type client struct {
	http  *http.Client
	base  string
	token string
	pause func(context.Context, time.Duration) error
}

// Bounds of a call.
const (
	tries     = 5
	maxWait   = 20 * time.Second // a longer Retry-After is told instead of waited for
	maxAnswer = 32 << 20
	maxPages  = 1000
)

// envelope is around every answer.
type envelope struct {
	Success bool            `json:"success"`
	Errors  []apiError      `json:"errors"`
	Result  json.RawMessage `json:"result"`
	Info    struct {
		TotalPages int `json:"total_pages"`
	} `json:"result_info"`
}

type apiError struct {
	Code    int        `json:"code"`
	Message string     `json:"message"`
	Chain   []apiError `json:"error_chain"`
}

// pages reads all pages of a list.
func pages[T any](ctx context.Context, c client, path string, query url.Values, perPage int) ([]T, error) {
	var all []T
	query.Set("per_page", strconv.Itoa(perPage))
	for page := 1; page <= maxPages; page++ {
		query.Set("page", strconv.Itoa(page))
		var e envelope
		if err := c.do(ctx, http.MethodGet, path, query, nil, &e); err != nil {
			return nil, err
		}
		var some []T
		if err := json.Unmarshal(e.Result, &some); err != nil {
			return nil, away("Cloudflare's answer cannot be read", err)
		}
		all = append(all, some...)
		if page >= e.Info.TotalPages {
			return all, nil
		}
	}
	return nil, away("Cloudflare's list has no end", nil)
}

// do sends a request and reads the envelope into out, unless that is nil.
func (c client) do(ctx context.Context, method, path string, query url.Values, body any, out *envelope) error {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return err
		}
	}
	wait := time.Second
	for try := 1; ; try++ {
		err := c.once(ctx, method, path, query, payload, out)
		var e *dnsproviders.Error
		if err == nil || !errors.As(err, &e) || try == tries || ctx.Err() != nil {
			return err
		}
		switch {
		case e.Reason == dnsproviders.Throttled && e.RetryAfter <= maxWait: // nothing was done
		case e.Reason == dnsproviders.Away && method == http.MethodGet:
		default:
			return err
		}
		if e.RetryAfter > 0 {
			wait = e.RetryAfter
		}
		if c.pause(ctx, wait) != nil {
			return err
		}
		wait = min(wait*2, maxWait)
	}
}

func (c client) once(ctx context.Context, method, path string, query url.Values, payload []byte, out *envelope) error {
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "edgewright")
	if payload != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return away("Cloudflare's API cannot be reached", err)
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(read) > maxAnswer {
		return away("Cloudflare's answer was cut short, or is too long", err)
	}
	var e envelope
	unreadable := json.Unmarshal(read, &e)
	if resp.StatusCode/100 == 2 && unreadable == nil && e.Success {
		if out != nil {
			*out = e
		}
		return nil
	}
	if resp.StatusCode/100 == 2 && unreadable != nil {
		return away("Cloudflare's answer cannot be read", unreadable)
	}
	return trouble(resp, e.Errors)
}

func away(message string, err error) error {
	return &dnsproviders.Error{Reason: dnsproviders.Away, Message: message, Detail: dnsproviders.CauseOf(err), Fix: "try again; if it stays so, see cloudflarestatus.com", Err: err}
}

// Codes of the API, as far as they say more than the status.
var (
	badToken    = []int{1000, 6003, 6111, 9103, 9106, 9107}
	noPerm      = []int{10000}
	noZone      = []int{1001, 7000, 7003}
	alreadyElse = []int{81044, 81053, 81054, 81055, 81056, 81057, 81058} // another record is there, or the one meant is not
)

// trouble turns an error answer into the user's terms.
func trouble(resp *http.Response, list []apiError) error {
	e := &dnsproviders.Error{}
	var words []string
	codes := map[int]bool{}
	var walk func(list []apiError)
	walk = func(list []apiError) {
		for _, one := range list {
			codes[one.Code] = true
			words = append(words, fmt.Sprintf("%s, code %d", one.Message, one.Code))
			walk(one.Chain)
		}
	}
	walk(list)
	e.Detail = dnsproviders.Short(strings.Join(words, "; "))
	has := func(of []int) bool {
		return slices.ContainsFunc(of, func(code int) bool { return codes[code] })
	}
	status := resp.StatusCode
	switch {
	case status == http.StatusTooManyRequests:
		e.Reason, e.Message, e.Fix = dnsproviders.Throttled, "Cloudflare asks for fewer requests", "wait a little and try again"
		e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
	case status >= 500:
		e.Reason, e.Message, e.Fix = dnsproviders.Away, fmt.Sprintf("Cloudflare's API answered %d", status), "try again; if it stays so, see cloudflarestatus.com"
	case has(badToken), codes[9109] && strings.Contains(strings.ToLower(e.Detail), "invalid access token"), status == http.StatusUnauthorized && !has(noPerm):
		e.Reason, e.Message, e.Fix = dnsproviders.BadCredentials, "Cloudflare does not accept the API token", "make a new token with Zone:Read and DNS:Edit, and replace the credentials"
	case has(noPerm), status == http.StatusForbidden, status == http.StatusUnauthorized:
		e.Reason, e.Message, e.Fix = dnsproviders.NoPermission, "the API token may not do this", "give it Zone:Read and DNS:Edit on this zone, at dash.cloudflare.com, My Profile, API Tokens"
	case has(alreadyElse):
		e.Reason, e.Message, e.Fix = dnsproviders.Moved, "the records at Cloudflare are not what the plan was made for", "make a new plan"
	case has(noZone), status == http.StatusNotFound:
		e.Reason, e.Message, e.Fix = dnsproviders.NoZone, "Cloudflare has no such zone for this API token", "see which zones it reaches, and whether the zone was deleted"
	default:
		e.Reason, e.Message, e.Fix = dnsproviders.Rejected, "Cloudflare does not take this record", "change what Cloudflare names, and make a new plan"
	}
	return e
}

func retryAfter(header string) time.Duration {
	if n, err := strconv.Atoi(header); err == nil && n > 0 && n < 1<<20 {
		return time.Duration(n) * time.Second
	}
	return 0
}
