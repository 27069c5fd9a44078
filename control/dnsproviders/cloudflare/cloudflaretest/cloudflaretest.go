// Package cloudflaretest is Cloudflare's API, as far as the driver uses it, for
// tests that talk to it over HTTP. It holds requests to the shapes of the types that
// Cloudflare publishes.
package cloudflaretest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go/v6/dns"
)

const (
	GoodToken = "good_token_0123456789012345678901234567890"
	ReadToken = "read_token_0123456789012345678901234567890"
	ZoneID    = "023e105f4ecef8ad9ca31a8372d0c353"
)

// Record is a record as the API has it.
type Record struct {
	ID       string          `json:"id,omitempty"`
	Name     string          `json:"name"`
	Type     string          `json:"type"`
	TTL      float64         `json:"ttl"`
	Content  string          `json:"content,omitempty"`
	Priority *float64        `json:"priority,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
	Proxied  *bool           `json:"proxied,omitempty"`
	Comment  string          `json:"comment,omitempty"`
}

type batch struct {
	Deletes        []struct{ ID string }
	Patches, Posts []Record
}

// Fake is the API and what it holds. Its fields are read and set under Mu.
type Fake struct {
	T       testing.TB
	Mu      sync.Mutex
	Zones   []map[string]any
	Records []Record // of the zone that is asked for

	Requests, Writes int  // so far
	Throttle         int  // requests that are throttled
	FailAfter        int  // writes, before one fails
	Lose             bool // the answer to the next write
	Away             bool // it answers nothing

	next int
}

// New starts an API that has many zones; the records are those of the one of the
// name given.
func New(t testing.TB, zone string) (*Fake, *httptest.Server) {
	f := &Fake{T: t, FailAfter: 1 << 30}
	add := func(id, name, typ string) {
		f.Zones = append(f.Zones, map[string]any{
			"id": id, "name": name, "type": typ, "status": "active", "name_servers": []string{"ada.ns.cloudflare.com", "bob.ns.cloudflare.com"},
			"account": map[string]any{"id": "a", "name": "A"}, "activated_on": nil, "created_on": time.Unix(0, 0).UTC(), "modified_on": time.Unix(0, 0).UTC(),
			"development_mode": 0, "meta": map[string]any{}, "original_dnshost": nil, "original_name_servers": nil, "original_registrar": nil,
			"owner": map[string]any{}, "plan": map[string]any{},
		})
	}
	for i := range 60 { // two pages
		add(fmt.Sprintf("%032x", i), fmt.Sprintf("zone%02d.example", i), "full")
	}
	add(ZoneID, zone, "full")
	add("ffffffffffffffffffffffffffffffff", "partial.example", "partial")
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server
}

// ServeHTTP implements http.Handler.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	f.Requests++
	w.Header().Set("Content-Type", "application/json")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.T.Error(err)
	}
	if f.Away {
		f.fail(w, http.StatusServiceUnavailable, 10001, "away")
		return
	}
	if f.Throttle > 0 {
		f.Throttle--
		w.Header().Set("Retry-After", "3")
		f.fail(w, http.StatusTooManyRequests, 10429, "Rate limited. Please wait and consider throttling your request speed")
		return
	}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	write := r.Method != http.MethodGet
	if write && r.Header.Get("Content-Type") != "application/json" {
		f.T.Errorf("a body of type %q", r.Header.Get("Content-Type"))
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/client/v4/"), "/")
	switch {
	case !bearer || token == "":
		f.fail(w, http.StatusBadRequest, 6003, "Invalid request headers")
	case token != GoodToken && token != ReadToken:
		f.fail(w, http.StatusForbidden, 9109, "Invalid access token")
	case write && token == ReadToken:
		f.fail(w, http.StatusForbidden, 10000, "Authentication error")
	case parts[0] != "zones":
		f.fail(w, http.StatusNotFound, 7000, "No route for that URI")
	case len(parts) == 1 && !write:
		page(f, w, r, f.Zones, 50)
	case parts[1] != ZoneID:
		f.fail(w, http.StatusNotFound, 7003, "Could not route to /zones/"+parts[1]+", perhaps your object identifier is invalid?")
	case len(parts) == 3 && parts[2] == "dns_records" && !write:
		f.list(w, r)
	case len(parts) == 4 && parts[3] == "batch" && r.Method == http.MethodPost:
		f.batch(w, body)
	default:
		f.T.Errorf("%s %s is not part of the API", r.Method, r.URL)
		f.fail(w, http.StatusMethodNotAllowed, 10405, "Method not allowed")
	}
}

func (f *Fake) fail(w http.ResponseWriter, status, code int, message string) {
	w.WriteHeader(status)
	f.write(w, map[string]any{"success": false, "errors": []any{map[string]any{"code": code, "message": message}}, "messages": []any{}, "result": nil})
}

func (f *Fake) write(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		f.T.Error(err)
	}
}

// page answers one page of a list, as large as it was asked for and at most as
// the API gives; a small bound makes small zones have several.
func page[T any](f *Fake, w http.ResponseWriter, r *http.Request, all []T, bound int) {
	q := r.URL.Query()
	perPage, err := strconv.Atoi(q.Get("per_page"))
	if err != nil || perPage < 1 || perPage > 5000000 {
		f.T.Errorf("per_page is %q", q.Get("per_page"))
	}
	number, err := strconv.Atoi(q.Get("page"))
	if err != nil || number < 1 {
		f.T.Errorf("page is %q", q.Get("page"))
	}
	perPage = min(perPage, bound)
	from, to := min(len(all), (number-1)*perPage), min(len(all), number*perPage)
	f.write(w, map[string]any{
		"success": true, "errors": []any{}, "messages": []any{}, "result": append([]T{}, all[from:to]...),
		"result_info": map[string]any{"page": number, "per_page": perPage, "count": to - from, "total_count": len(all), "total_pages": (len(all) + perPage - 1) / perPage},
	})
}

func (f *Fake) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for key := range q {
		if !slices.Contains([]string{"page", "per_page", "name.exact", "type"}, key) {
			f.T.Errorf("the list of records takes no %q", key)
		}
	}
	var shown []map[string]any
	for _, rec := range f.Records {
		if q.Get("name.exact") == "" || q.Get("name.exact") == rec.Name {
			shown = append(shown, f.show(rec))
		}
	}
	page(f, w, r, shown, 100)
}

// show is a record as the API answers it, held to the type that it publishes.
func (f *Fake) show(r Record) map[string]any {
	v := map[string]any{
		"id": r.ID, "name": r.Name, "type": r.Type, "content": r.Content, "ttl": int(r.TTL), "proxied": r.Proxied != nil && *r.Proxied, "comment": r.Comment,
		"proxiable": r.Type == "A" || r.Type == "AAAA" || r.Type == "CNAME", "tags": []string{}, "settings": map[string]any{}, "meta": map[string]any{},
		"created_on": time.Unix(0, 0).UTC(), "modified_on": time.Unix(0, 0).UTC(),
	}
	if r.Priority != nil {
		v["priority"] = *r.Priority
	}
	if len(r.Data) > 0 {
		v["data"] = r.Data
		v["content"] = "composed by Cloudflare"
	}
	raw, err := json.Marshal(v)
	if err != nil {
		f.T.Fatal(err)
	}
	var published dns.RecordResponse
	if err := json.Unmarshal(raw, &published); err != nil {
		f.T.Errorf("the fake answers what Cloudflare does not: %s: %v", raw, err)
	}
	return v
}

// batch carries out a batch, all of it or nothing.
func (f *Fake) batch(w http.ResponseWriter, body []byte) {
	if err := checkBatch(body); err != nil {
		f.T.Errorf("the request is not as Cloudflare's types have it: %v", err)
		f.fail(w, http.StatusBadRequest, 9207, "Request body is invalid.")
		return
	}
	if f.FailAfter == 0 {
		f.FailAfter = 1 << 30
		f.fail(w, http.StatusInternalServerError, 10001, "internal")
		return
	}
	f.FailAfter--
	f.Writes++
	var b batch
	if err := json.Unmarshal(body, &b); err != nil {
		f.T.Error(err)
	}
	if n := len(b.Deletes) + len(b.Patches) + len(b.Posts); n > 200 {
		f.T.Errorf("a batch of %d", n)
	}
	now, code, message := f.carryOut(b)
	if code != 0 {
		f.fail(w, http.StatusBadRequest, code, message)
		return
	}
	f.Records = now
	if f.Lose {
		f.Lose = false
		panic(http.ErrAbortHandler)
	}
	f.write(w, map[string]any{"success": true, "errors": []any{}, "messages": []any{}, "result": map[string]any{}})
}

func (f *Fake) carryOut(b batch) (now []Record, code int, message string) {
	now = slices.Clone(f.Records)
	at := func(id string) int { return slices.IndexFunc(now, func(r Record) bool { return r.ID == id }) }
	for _, d := range b.Deletes {
		i := at(d.ID)
		if i < 0 {
			return nil, 81044, "Record does not exist."
		}
		now = slices.Delete(now, i, i+1)
	}
	for _, p := range b.Patches {
		i := at(p.ID)
		if i < 0 {
			return nil, 81044, "Record does not exist."
		}
		if p.Type != now[i].Type || p.Name != now[i].Name {
			f.T.Errorf("a patch makes another record of %+v: %+v", now[i], p)
		}
		if p.Comment == "" {
			p.Comment = now[i].Comment
		}
		now[i] = p
	}
	for _, p := range b.Posts {
		f.next++
		p.ID = fmt.Sprintf("%032x", f.next)
		now = append(now, p)
	}
	for i, a := range now {
		for _, b := range now[:i] {
			if a.Name == b.Name && a.Type == b.Type && a.Content == b.Content && string(a.Data) == string(b.Data) && (a.Priority == nil || *a.Priority == *b.Priority) {
				return nil, 81058, "An identical record already exists."
			}
			if address := func(t string) bool { return t == "A" || t == "AAAA" || t == "CNAME" }; a.Name == b.Name && address(a.Type) && address(b.Type) && (a.Type == "CNAME" || b.Type == "CNAME") {
				return nil, 81053, "An A, AAAA, or CNAME record with that host already exists."
			}
		}
	}
	return now, 0, ""
}

// Put writes as somebody at the dashboard does.
func (f *Fake) Put(records ...Record) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	for _, r := range records {
		f.next++
		r.ID = fmt.Sprintf("%032x", f.next)
		f.Records = append(f.Records, r)
	}
}
