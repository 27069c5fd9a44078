package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/projects"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store/storetest"
)

// FuzzBodies sends bodies and parameters to every operation that takes a body.
// Whatever they are, the answer is a success or a problem, and never a defect.
func FuzzBodies(f *testing.F) {
	e := newEnv(f)
	all := operations(e.server)
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(id string) bool { return all[id].RequestBody == nil })
	bodies := []string{
		`{`, `null`, `[]`, `{"a":1}`, `{"domain":"a.localhost"}`, `{"domain":"https://ex\u0000ample.com/"}`, `{"domain":"xn--a.xn--b"}`, `{"domain":"*.localhost","hsts":{"max_age":5}}`,
		`{"origins":[{"url":"http://127.0.0.1:1"}],"cache_rules":[{"pattern":"/*","ttl":5,"cache_key":{"query":{"mode":"none"}}}]}`,
		`{"resources":[{"kind":"cdn","name":"x","spec":{"origins":[{"url":"http://a"}]}}],"prune":true}`, `{"paths":["/a","%","http://["]}`, `{"purge_all":true}`,
		`{"revision":1,"force":true}`, `{"name":"x","role":"admin","scopes":["*:*"],"expires_at":"9999-12-31T23:59:59Z"}`,
		`{"type":"custom","chain_pem":"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----","key_pem":"x"}`,
		`{"email":"a@example.com","name":"A","role":"viewer"}`, `{"link":"https://x/login?link=y"}`, `{"draining":true}`, `{"ttl_seconds":60}`,
	}
	for i := range ids {
		for _, body := range bodies {
			f.Add(byte(i), []byte(body), "project_id=default", "shop.localhost")
		}
	}
	f.Add(byte(0), []byte(`{}`), "dry_run=true&environment=%00&limit=1e9", "\xff/../..")
	f.Fuzz(func(t *testing.T, which byte, body []byte, query, name string) {
		o := all[ids[int(which)%len(ids)]]
		path := o.Path
		for _, part := range strings.Split(path, "/") {
			if strings.HasPrefix(part, "{") {
				path = strings.Replace(path, part, url.PathEscape(name), 1)
			}
		}
		r := httptest.NewRequest(o.Method, "/", bytes.NewReader(body))
		u, err := url.Parse(path)
		if err != nil {
			return
		}
		u.RawQuery = query
		r.URL = u
		r.Header.Set("Authorization", "Bearer "+adminToken)
		r.Header.Set("If-Match", "*")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		e.server.ServeHTTP(w, r)
		switch {
		case w.Code == http.StatusInternalServerError || w.Code < 200:
			t.Fatalf("%s %s: %d %s", o.Method, u, w.Code, w.Body)
		case w.Code >= 400:
			var p Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code == "" || p.Status != w.Code || p.Detail == "" {
				t.Fatalf("%s %s: %d %s", o.Method, u, w.Code, w.Body)
			}
		}
	})
}

// FuzzHeaders sends credentials and preconditions of any shape.
func FuzzHeaders(f *testing.F) {
	db := storetest.SQLite(f)
	rooms, err := access.New(access.Options{Store: db})
	ok(f, err)
	server := New(Options{DB: db, Access: rooms, Projects: projects.New(db, []resource.Kind{"domain"})})
	f.Add("Bearer ew_x", "edgewright_session=x", `"1"`, "https://a", "1")
	f.Add("bearer", "__Host-edgewright_session=\x7f", "W/*", "null", "\x00")
	f.Fuzz(func(t *testing.T, authorization, cookie, match, origin, key string) {
		r := httptest.NewRequest(http.MethodPatch, "/api/v1/projects/default", strings.NewReader(`{"title":"x"}`))
		r.Header["Authorization"] = []string{authorization}
		r.Header["Cookie"] = []string{cookie}
		r.Header["If-Match"] = []string{match}
		r.Header["Origin"] = []string{origin}
		r.Header["Idempotency-Key"] = []string{key}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized && w.Code != http.StatusTooManyRequests {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzPointers turns huma's locations into pointers.
func FuzzPointers(f *testing.F) {
	f.Add("body.origins[0].url")
	f.Add("body[3]")
	f.Add("query.limit")
	f.Add("")
	f.Fuzz(func(t *testing.T, location string) {
		p := pointerOf(location)
		if strings.HasPrefix(location, "body.") && p != "" && p[0] != '/' {
			t.Errorf("%q gives %q", location, p)
		}
	})
}
