package cache

import (
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
	"time"
)

func TestRanges(t *testing.T) {
	const content = "0123456789"
	const lm = "Last-Modified: Fri, 31 Dec 1999 12:00:00 GMT"
	for _, c := range []struct {
		name, stored, send string
		status             int
		contentRange, body string
	}{
		{"9110-14.1.2 first bytes", "", "Range: bytes=0-3", 206, "bytes 0-3/10", "0123"},
		{"9110-14.1.2 one byte", "", "Range: bytes=5-5", 206, "bytes 5-5/10", "5"},
		{"9110-14.1.2 to the end", "", "Range: bytes=7-", 206, "bytes 7-9/10", "789"},
		{"9110-14.1.2 suffix", "", "Range: bytes=-3", 206, "bytes 7-9/10", "789"},
		{"9110-14.1.2 suffix longer than the content", "", "Range: bytes=-30", 206, "bytes 0-9/10", content},
		{"9110-14.1.2 last beyond the end", "", "Range: bytes=7-70", 206, "bytes 7-9/10", "789"},
		{"9110-14.1.2 number beyond 64 bits", "", "Range: bytes=7-99999999999999999999999", 206, "bytes 7-9/10", "789"},
		{"9110-14.1.2 first beyond the end", "", "Range: bytes=10-", 416, "bytes */10", ""},
		{"9110-14.1.2 first beyond 64 bits", "", "Range: bytes=99999999999999999999999-", 416, "bytes */10", ""},
		{"9110-14.1.2 empty suffix", "", "Range: bytes=-0", 416, "bytes */10", ""},
		{"9110-14.1.2 last before first", "", "Range: bytes=5-3", 200, "", content},
		{"9110-14.1.2 malformed", "", "Range: bytes=a-b", 200, "", content},
		{"9110-14.1.2 no dash", "", "Range: bytes=5", 200, "", content},
		{"9110-14.2 other unit", "", "Range: lines=0-3", 200, "", content},
		{"9110-14.1 unit in any case", "", "Range: Bytes=0-3", 206, "bytes 0-3/10", "0123"},
		{"9110-14.2 two lines", "", "Range: bytes=0-3\nRange: bytes=5-6", 200, "", content},
		{"9110-14.1.2 blanks and empty members", "", "Range: bytes= , 2-3 ,", 206, "bytes 2-3/10", "23"},
		{"9110-14.2 only one of two can be satisfied", "", "Range: bytes=0-1,20-30", 206, "bytes 0-1/10", "01"},
		{"9110-14.2 overlapping", "", "Range: bytes=0-5,3-8", 200, "", content},
		{"9110-14.2 too many", "", "Range: bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8", 200, "", content},
		{"9110-13.1.5 If-Range same tag", "ETag: \"a\"", "Range: bytes=0-3\nIf-Range: \"a\"", 206, "bytes 0-3/10", "0123"},
		{"9110-13.1.5 If-Range other tag", "ETag: \"a\"", "Range: bytes=0-3\nIf-Range: \"b\"", 200, "", content},
		{"9110-13.1.5 If-Range weak tag", "ETag: W/\"a\"", "Range: bytes=0-3\nIf-Range: W/\"a\"", 200, "", content},
		{"9110-13.1.5 If-Range without ETag", "", "Range: bytes=0-3\nIf-Range: \"a\"", 200, "", content},
		{"9110-13.1.5 If-Range date", lm, "Range: bytes=0-3\nIf-Range: Fri, 31 Dec 1999 12:00:00 GMT", 206, "bytes 0-3/10", "0123"},
		{"9110-13.1.5 If-Range later date is not exact", lm, "Range: bytes=0-3\nIf-Range: Fri, 31 Dec 1999 12:00:01 GMT", 200, "", content},
		{"9110-13.1.5 If-Range malformed", lm, "Range: bytes=0-3\nIf-Range: x", 200, "", content},
		{"9110-8.8.2.2 If-Range date no second before Date", "Last-Modified: " + epoch, "Range: bytes=0-3\nIf-Range: " + epoch, 200, "", content},
		{"9110-13.2.2 preconditions before ranges", "ETag: \"a\"", "Range: bytes=0-3\nIf-None-Match: \"a\"", 304, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			timed(t, Options{}, func(w *world) {
				w.always(reply{header: []string{"Cache-Control: max-age=10", c.stored}, body: content})
				w.get("/a")
				settled()
				got := w.get("/a", c.send)
				if got.status != c.status || got.body != c.body || got.header.Get("Content-Range") != c.contentRange || got.outcome != "hit" {
					t.Errorf("%d %q Content-Range %q %s", got.status, got.body, got.header.Get("Content-Range"), got.outcome)
				}
				if got.status == 206 && got.length != int64(len(c.body)) {
					t.Errorf("Content-Length %d", got.length)
				}
				if head := w.do(viewOf("HEAD", "/a", c.send)); head.status == 206 || head.status == 416 {
					t.Errorf("9110-14.2 Range is defined for GET only: HEAD got %d", head.status)
				}
			})
		})
	}
}

func TestSeveralRanges(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10", "Content-Type: text/plain"}, body: "0123456789"})
		w.get("/a")
		settled()
		got := w.get("/a", "Range: bytes=-2,0-1,4-5")
		kind, params, err := mime.ParseMediaType(got.header.Get("Content-Type"))
		if got.status != 206 || kind != "multipart/byteranges" || err != nil || got.length != int64(len(got.body)) {
			t.Fatalf("9110-15.3.7.2: %d %q %v, length %d of %d", got.status, kind, err, got.length, len(got.body))
		}
		r := multipart.NewReader(strings.NewReader(got.body), params["boundary"])
		for _, want := range [][2]string{{"bytes 8-9/10", "89"}, {"bytes 0-1/10", "01"}, {"bytes 4-5/10", "45"}} {
			part, err := r.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(part)
			if part.Header.Get("Content-Range") != want[0] || string(body) != want[1] || part.Header.Get("Content-Type") != "text/plain" {
				t.Errorf("%q %q %v", part.Header.Get("Content-Range"), body, part.Header)
			}
		}
		if _, err := r.NextPart(); err != io.EOF {
			t.Errorf("after the last part: %v", err)
		}
	})
}

func TestPartialResponsesAreNotStored(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(r *asked) reply {
			if r.header.Get("Range") == "bytes=5-6" {
				return reply{status: 206, header: []string{"Cache-Control: max-age=10", "Content-Range: bytes 5-6/10"}, body: "56"}
			}
			return reply{header: []string{"Cache-Control: max-age=10"}, body: "0123456789"}
		})
		if got := w.get("/a", "Range: bytes=5-6"); got.status != 206 || got.body != "56" || got.outcome != "miss" {
			t.Errorf("a range from the middle goes through: %d %q %s", got.status, got.body, got.outcome)
		}
		if got := w.get("/a"); got.status != 200 || got.body != "0123456789" || got.outcome != "miss" {
			t.Errorf("9111-3.3: %d %q %s", got.status, got.body, got.outcome)
		}
		settled()
		if got := w.get("/a", "Range: bytes=5-6"); got.status != 206 || got.body != "56" || got.outcome != "hit" {
			t.Errorf("from the whole: %d %q %s", got.status, got.body, got.outcome)
		}
	})
}

func TestUnrequestedPartialResponse(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{status: 206, header: []string{"Cache-Control: max-age=10", "Content-Range: bytes 0-1/10"}, body: "01"})
		w.get("/a")
		settled()
		if got := w.get("/a"); got.outcome != "miss" {
			t.Errorf("%s", got.outcome)
		}
		settled()
	})
}

func TestRangeFromTheStartFills(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, body: "0123456789"})
		got := w.get("/a", "Range: bytes=0-3")
		if got.status != 206 || got.body != "0123" || got.header.Get("Content-Range") != "bytes 0-3/10" {
			t.Errorf("%d %q", got.status, got.body)
		}
		if w.last().header.Get("Range") != "" {
			t.Error("the fill carried the range")
		}
		settled()
		if got := w.get("/a"); got.outcome != "hit" || got.body != "0123456789" {
			t.Errorf("%s %q", got.outcome, got.body)
		}
	})
}

func TestStaleRangeIsValidated(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(r *asked) reply {
			if r.header.Get("If-None-Match") != "" {
				return reply{status: 304}
			}
			return reply{header: []string{"Cache-Control: max-age=10", "ETag: \"a\""}, body: "0123456789"}
		})
		w.get("/a")
		settled()
		time.Sleep(11 * second)
		if got := w.get("/a", "Range: bytes=5-6"); got.status != 206 || got.body != "56" || got.outcome != "revalidated" {
			t.Errorf("%d %q %s", got.status, got.body, got.outcome)
		}
		settled()
	})
}

func TestEmptyContentHasNoRanges(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10"}})
		w.get("/a")
		settled()
		if got := w.get("/a", "Range: bytes=0-3"); got.status != 200 || got.length != 0 {
			t.Errorf("%d, length %d", got.status, got.length)
		}
	})
}

func TestRangesOfWhatIsTooLarge(t *testing.T) {
	content := strings.Repeat("0123456789", 10_000)
	timed(t, Options{MaxObjectBytes: 1000}, func(w *world) {
		w.script(func(r *asked) reply {
			if r.header.Get("Range") != "" {
				return reply{status: 206, header: []string{"Content-Range: bytes 0-1/100000"}, body: "01"}
			}
			return reply{header: []string{"Cache-Control: max-age=10"}, body: content}
		})
		for i, sent := range []string{"", "bytes=0-1"} {
			got := w.get("/a", "Range: bytes=0-1")
			if got.status != 206 || got.body != "01" || got.header.Get("Content-Range") != "bytes 0-1/100000" || got.cut != nil {
				t.Errorf("request %d: %d %q %v", i+1, got.status, got.body, got.header)
			}
			if r := w.last().header.Get("Range"); r != sent {
				t.Errorf("request %d: the origin was asked for %q", i+1, r)
			}
			settled()
		}
	})
}

func TestConditionsGoToTheOriginWhenNothingIsShared(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(r *asked) reply {
			if r.header.Get("If-None-Match") == "\"a\"" {
				return reply{status: 304, header: []string{"ETag: \"a\""}}
			}
			return reply{header: []string{"Cache-Control: private", "ETag: \"a\""}, body: "content"}
		})
		w.get("/a")
		settled()
		for _, c := range []struct{ target, line string }{{"/a", ""}, {"/b", "Authorization: x"}, {"/c", "Cache-Control: no-store"}} {
			if got := w.get(c.target, "If-None-Match: \"a\"", c.line); got.status != 304 || w.last().header.Get("If-None-Match") != "\"a\"" || got.outcome != "miss" {
				t.Errorf("%s: %d %s, sent %q", c.target, got.status, got.outcome, w.last().header["If-None-Match"])
			}
			settled()
		}
		time.Sleep(2 * minute)
		if w.get("/a", "If-None-Match: \"a\""); w.last().header["If-None-Match"] != nil {
			t.Error("after a while the whole is asked for again")
		}
		settled()
	})
}
