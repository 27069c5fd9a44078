package demo

import (
	"bufio"
	"context"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestSite(t *testing.T) {
	s := httptest.NewServer(Handler())
	defer s.Close()
	for _, c := range []struct {
		path, language string
		status         int
		cacheControl   string
		body           string
	}{
		{"/", "", 200, "s-maxage=60", "Tidewater Tea"},
		{"/gallery", "", 200, "s-maxage=60", "/images/harbour.png"},
		{"/assets/style.css", "", 200, "max-age=3600", "color-scheme"},
		{"/assets/app.js", "", 200, "max-age=3600", "EventSource"},
		{"/assets/index.html", "", 404, "", ""},
		{"/assets/none.css", "", 404, "", ""},
		{"/images/none.png", "", 404, "", ""},
		{"/api/products", "de-DE", 200, "max-age=10", "Steinzeugbecher"},
		{"/api/products", "en", 200, "max-age=10", "Stoneware"},
		{"/api/time", "", 200, "no-store", "time"},
		{"/api/echo?q=1", "", 200, "no-store", "/api/echo?q=1"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Language", c.language)
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != c.status || !strings.Contains(res.Header.Get("Cache-Control"), c.cacheControl) || !strings.Contains(string(body), c.body) {
			t.Errorf("%s: status %d, Cache-Control %q, body %.80q", c.path, res.StatusCode, res.Header.Get("Cache-Control"), body)
		}
	}
}

func TestPicturesDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, name := range pictures {
		b := draw(name)
		if _, err := png.Decode(strings.NewReader(string(b))); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if other := seen[string(b)]; other != "" {
			t.Errorf("%s looks like %s", name, other)
		}
		seen[string(b)] = name
	}
}

func TestEventsAndSocket(t *testing.T) {
	s := httptest.NewServer(Handler())
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/events", nil)
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	if err != nil || line != "id: 0\n" {
		t.Errorf("first event line %q, %v", line, err)
	}
	_ = res.Body.Close()

	c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	for {
		_, message, err := c.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if string(message) == "hello" { // the clock may speak first
			return
		}
	}
}
