package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/fault"
)

type got struct {
	ID, Type, Data string
	Retry          time.Duration
}

func readAll(t *testing.T, r io.Reader) ([]got, error) {
	t.Helper()
	var list []got
	err := readEvents(r, func(e Event, retry time.Duration) bool {
		list = append(list, got{e.ID, e.Type, string(e.Data), retry})
		return true
	})
	return list, err
}

func TestReadEvents(t *testing.T) {
	tests := []struct {
		name, stream string
		want         []got
	}{
		{"one", "event: change\nid: 7\ndata: {\"a\":1}\n\n", []got{{"7", "change", `{"a":1}`, 0}}},
		{"several lines", "data: a\ndata: b\n\n", []got{{"", "message", "a\nb", 0}}},
		{"carriage returns", "event: x\r\ndata: 1\r\n\r\nevent: y\rdata: 2\r\rdata: 3\n\n", []got{{"", "x", "1", 0}, {"", "y", "2", 0}, {"", "message", "3", 0}}},
		{"comments and unknown fields", ": keep-alive\n\nfoo: bar\ndata:no space\n\n", []got{{"", "message", "no space", 0}}},
		{"event without data", "event: x\n\ndata: y\n\n", []got{{"", "message", "y", 0}}},
		{"id alone", "id: 9\n\n", []got{{"9", "", "", 0}}},
		{"retry", "retry: 2500\n\nretry: x\n\n", []got{{"", "", "", 2500 * time.Millisecond}}},
		{"cut off", "data: whole\n\ndata: half\n", []got{{"", "message", "whole", 0}}},
		{"cut off in a line", "data: whole\n\ndata: ha", []got{{"", "message", "whole", 0}}},
		{"byte order mark", "\xef\xbb\xbfdata: x\n\n", []got{{"", "message", "x", 0}}},
		{"field without colon", "data\n\n", []got{{"", "message", "", 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{"at once": strings.NewReader(tt.stream), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.stream))} {
				list, err := readAll(t, r)
				if d := cmp.Diff(tt.want, list); d != "" || err != nil {
					t.Errorf("%s: %v %s", name, err, d)
				}
			}
		})
	}
}

func TestReadEventsIsBounded(t *testing.T) {
	for name, stream := range map[string]string{
		"line":  "data: " + strings.Repeat("x", maxEventBytes+1) + "\n\n",
		"lines": strings.Repeat("data: "+strings.Repeat("x", 1000)+"\n", maxEventBytes/1000+2) + "\n",
	} {
		if _, err := readAll(t, strings.NewReader(stream)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A stream that breaks goes on where it broke.
func TestEventsGoOn(t *testing.T) {
	rec := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "retry: 50\n\nid: %d\nevent: change\ndata: {\"revision\":%d}\n\n", n, n)
	})
	c, waits := connect(t, rec)
	var seen []int64
	for e, err := range c.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		var change ChangeEvent
		if err := json.Unmarshal(e.Data, &change); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, change.Revision)
		if len(seen) == 3 {
			break
		}
	}
	if d := cmp.Diff([]int64{1, 2, 3}, seen); d != "" {
		t.Error(d)
	}
	requests, _ := rec.seen()
	for i, r := range requests {
		want := ""
		if i > 0 {
			want = fmt.Sprint(i)
		}
		if r.Header.Get("Last-Event-ID") != want || r.Header.Get("Accept") != "text/event-stream" {
			t.Errorf("request %d: %v", i, r.Header)
		}
	}
	for _, w := range *waits {
		if w != 50*time.Millisecond {
			t.Errorf("waits %v", *waits)
		}
	}
}

func TestEventsGiveUp(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
	})
	c, _ := connect(t, rec)
	var last error
	for _, err := range c.Events(t.Context()) {
		last = err
	}
	if requests, _ := rec.seen(); !fault.Is(last, fault.Unavailable) || len(requests) != 5 {
		t.Errorf("%v after %d requests", last, len(requests))
	}
}

func TestEventsRefused(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		problemAnswer(w, 401, `{"code":"unauthenticated","detail":"who are you"}`)
	})
	c, _ := connect(t, rec)
	n := 0
	for _, err := range c.Events(t.Context()) {
		n++
		if !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%v", err)
		}
	}
	if n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestEventsCancelled(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: live\ndata: {}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	c, _ := connect(t, rec)
	ctx, cancel := context.WithCancel(t.Context())
	for _, err := range c.Events(ctx) {
		if err != nil {
			t.Errorf("%v", err)
		}
		cancel()
	}
	cancel()
}

func FuzzReadEvents(f *testing.F) {
	f.Add("event: x\nid: 1\nretry: 3\ndata: a\r\ndata: b\r\rdata\n\n")
	f.Add(": c\n\n\r\n\x00")
	f.Fuzz(func(t *testing.T, stream string) {
		whole, err1 := readAll(t, strings.NewReader(stream))
		slow, err2 := readAll(t, iotest.OneByteReader(strings.NewReader(stream)))
		if d := cmp.Diff(whole, slow); d != "" || (err1 == nil) != (err2 == nil) {
			t.Fatalf("%v %v %s", err1, err2, d)
		}
	})
}
