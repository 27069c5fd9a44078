// Package demo is a small real site for a first look: pages, images, an API,
// server-sent events and a WebSocket. `edgewright up --demo` runs it as an
// origin on a loopback port and serves it through the edge as
// demo.localhost. It knows nothing of Edgewright: it is an origin like any
// other, and sets the cache headers a well-made site would.
//
// What each path is for:
//
//	/                     page; cached a minute, then stale while revalidated
//	/gallery              page with the images
//	/assets/*             style and script; cached an hour
//	/images/NAME.png      pictures drawn by the server; cached a day, ETag, ranges
//	/api/products         JSON; cached ten seconds, varies with Accept-Language
//	/api/time             JSON; never cached
//	/api/echo             answers with the request as it arrived here
//	/events               server-sent events, one a second
//	/ws                   WebSocket: echoes, and tells the time each second
package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

//go:embed site
var site embed.FS

// Pictures the gallery shows; each is drawn from its name.
var pictures = []string{"harbour", "dunes", "aurora", "meadow", "ember", "glacier"}

// A catalogue for the API.
type product struct {
	SKU   string `json:"sku"`
	Name  string `json:"name"`
	Price string `json:"price"`
}

var products = map[string][]product{
	"en": {{"tea-01", "First flush tea", "12.50 EUR"}, {"cup-02", "Stoneware cup", "18.00 EUR"}, {"pot-03", "Cast-iron pot", "74.00 EUR"}},
	"de": {{"tea-01", "Tee der ersten Pflückung", "12,50 EUR"}, {"cup-02", "Steinzeugbecher", "18,00 EUR"}, {"pot-03", "Gusseiserne Kanne", "74,00 EUR"}},
}

// Handler returns the site. It keeps only drawn pictures in memory.
func Handler() http.Handler {
	s := &server{pages: template.Must(template.ParseFS(site, "site/*.html"))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page("index.html"))
	mux.HandleFunc("GET /gallery", s.page("gallery.html"))
	mux.HandleFunc("GET /assets/{name}", s.asset)
	mux.HandleFunc("GET /images/{name}", s.picture)
	mux.HandleFunc("GET /api/products", s.products)
	mux.HandleFunc("GET /api/time", s.time)
	mux.HandleFunc("/api/echo", s.echo)
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /ws", s.socket)
	mux.HandleFunc("GET /robots.txt", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=86400")
		_, _ = io.WriteString(w, "User-agent: *\nDisallow: /api/\n")
	})
	return mux
}

type server struct {
	pages *template.Template

	mu    sync.Mutex
	drawn map[string][]byte
}

func (s *server) page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		if err := s.pages.ExecuteTemplate(&b, name, map[string]any{"Pictures": pictures, "Rendered": time.Now().UTC().Format(time.RFC3339)}); err != nil {
			http.Error(w, "The page could not be rendered.", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=0, s-maxage=60, stale-while-revalidate=600")
		_, _ = w.Write(b.Bytes())
	}
}

func (s *server) asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if strings.HasSuffix(name, ".html") {
		http.NotFound(w, r)
		return
	}
	body, err := site.ReadFile("site/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("ETag", etag(body))
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
}

func (s *server) picture(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(r.PathValue("name"), ".png")
	known := false
	for _, p := range pictures {
		known = known || p == name
	}
	if !ok || !known {
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	body := s.drawn[name]
	if body == nil {
		body = draw(name)
		if s.drawn == nil {
			s.drawn = map[string][]byte{}
		}
		s.drawn[name] = body
	}
	s.mu.Unlock()
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.Header().Set("ETag", etag(body))
	http.ServeContent(w, r, name+".png", time.Time{}, bytes.NewReader(body))
}

func (s *server) products(w http.ResponseWriter, r *http.Request) {
	language := "en"
	if strings.HasPrefix(strings.ToLower(r.Header.Get("Accept-Language")), "de") {
		language = "de"
	}
	w.Header().Set("Vary", "Accept-Language")
	w.Header().Set("Content-Language", language)
	w.Header().Set("Cache-Control", "public, max-age=10")
	writeJSON(w, map[string]any{"products": products[language]})
}

func (s *server) time(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, map[string]string{"time": time.Now().UTC().Format(time.RFC3339Nano)})
}

func (s *server) echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "The body could not be read, or is over 1 MiB.", http.StatusRequestEntityTooLarge)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, map[string]any{"method": r.Method, "host": r.Host, "url": r.URL.String(), "proto": r.Proto, "headers": r.Header, "body": string(body)})
}

func (s *server) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		if _, err := fmt.Fprintf(w, "id: %d\nevent: tick\ndata: {\"n\":%d,\"at\":%q}\n\n", n, n, time.Now().UTC().Format(time.RFC3339Nano)); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

func (s *server) socket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // a public echo holds nothing that another origin could steal
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(64 << 10)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case at := <-tick.C:
				if err := c.Write(ctx, websocket.MessageText, []byte("time "+at.UTC().Format(time.RFC3339))); err != nil {
					return
				}
			}
		}
	}()
	for {
		typ, message, err := c.Read(ctx)
		if err != nil {
			var closed websocket.CloseError
			if errors.As(err, &closed) {
				_ = c.Close(websocket.StatusNormalClosure, "")
			}
			return
		}
		if err := c.Write(ctx, typ, message); err != nil {
			return
		}
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client has gone; there is nobody to tell
}

func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

// draw makes a landscape of waves whose colours and shapes follow from the name.
func draw(name string) []byte {
	const width, height = 640, 400
	h := fnv.New32a()
	_, _ = io.WriteString(h, name)
	seed := h.Sum32()
	hue := float64(seed%360) / 360
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for x := range width {
		ridge := make([]float64, 5)
		for layer := range ridge {
			f := float64(layer)
			phase := float64(seed>>(uint(layer)*3)&0xff) / 40
			ridge[layer] = height*(0.3+0.14*f) + 26*math.Sin(float64(x)/(90-9*f)+phase) + 11*math.Sin(float64(x)/(31+5*f)+2*phase)
		}
		for y := range height {
			layer := 0
			for layer < len(ridge) && float64(y) > ridge[layer] {
				layer++
			}
			depth := float64(layer) / float64(len(ridge))
			img.SetRGBA(x, y, shade(hue+0.08*depth, 0.35+0.25*depth, 0.92-0.62*depth-0.1*float64(y)/height))
		}
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img) // a bytes.Buffer does not fail
	return b.Bytes()
}

// shade converts hue, saturation and lightness, each 0 to 1, to a colour.
func shade(hue, saturation, lightness float64) color.RGBA {
	channel := func(n float64) uint8 {
		k := math.Mod(n+12*hue, 12)
		a := saturation * min(lightness, 1-lightness)
		return uint8(255 * max(0, min(1, lightness-a*max(-1, min(k-3, 9-k, 1)))))
	}
	return color.RGBA{channel(0), channel(8), channel(4), 255}
}
