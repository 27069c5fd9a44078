package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/fault"
)

const (
	keyLife   = 24 * time.Hour        // how long an answer is remembered
	keyWait   = 10 * time.Second      // how long a repeat waits for the first request
	keyPoll   = 50 * time.Millisecond // how often it looks, also for other control planes' work
	keyHeld   = 3 * time.Minute       // after which a claim's holder must have died: longer than any operation
	keyLength = 255
)

// idempotent is the second middleware of every operation: a POST with a key is
// served once, repeats get the first answer.
func (s *Server) idempotent(ctx huma.Context, next func(huma.Context)) {
	o := opOf(ctx.Operation())
	key := ctx.Header("Idempotency-Key")
	r, w := humago.Unwrap(ctx)
	principal := requestFrom(r.Context()).principal
	if o.method != http.MethodPost || o.noKey || key == "" || principal == nil {
		next(ctx)
		return
	}
	if len(key) > keyLength || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
		s.writeProblem(w, r, fault.InvalidField("header:Idempotency-Key", "the key is longer than 255 bytes or not printable ASCII", "use a random string"))
		return
	}
	_ = ctx.SetReadDeadline(time.Now().Add(s.bodyTimeout)) // recorders in tests have none
	body, err := readAll(r, ctx.Operation().MaxBodyBytes)
	if err != nil {
		s.writeProblem(w, r, err)
		return
	}
	holder := requestFrom(r.Context()).id
	replay, claimed, err := s.claim(r.Context(), principal.ID, key, holder, hashRequest(r, body))
	if err != nil {
		s.writeProblem(w, r, err)
		return
	}
	if !claimed {
		writeReplay(w, replay)
		return
	}
	// The work goes on when the client goes away: it will ask again with the key.
	detached := context.WithoutCancel(r.Context())
	clone := r.WithContext(detached)
	clone.Body = io.NopCloser(bytes.NewReader(body))
	captured := &capture{header: w.Header(), ResponseWriter: w}
	finished := false
	defer func() {
		if !finished { // a panic on its way to the guard
			s.forget(detached, principal.ID, key, holder)
		}
	}()
	next(humago.NewContext(ctx.Operation(), clone, captured))
	finished = true
	s.remember(detached, principal.ID, key, holder, captured)
	captured.flush()
}

// claim takes the key, or waits for the answer of who has it.
func (s *Server) claim(ctx context.Context, principal, key, holder string, hash []byte) (store.Replay, bool, error) {
	deadline := time.NewTimer(keyWait)
	defer deadline.Stop()
	for {
		now := s.now()
		replay, claimed, err := s.db.BeginReplay(ctx, principal, key, holder, hash, now.Add(-keyHeld), now.Add(keyLife))
		if err != nil || claimed {
			return replay, claimed, err
		}
		if !bytes.Equal(replay.Hash, hash) {
			return replay, false, fault.New(fault.IdempotencyMismatch, "this Idempotency-Key was used for another request; use a new key for a new request")
		}
		if replay.Status != 0 {
			return replay, false, nil
		}
		poll := time.NewTimer(keyPoll)
		select {
		case <-poll.C:
		case <-deadline.C:
			poll.Stop()
			e := fault.New(fault.Conflict, "the first request with this Idempotency-Key is still being served; ask again with the same key")
			e.RetryAfter = keyWait
			return replay, false, e
		case <-ctx.Done():
			poll.Stop()
			return replay, false, ctx.Err()
		}
	}
}

// remember keeps answers that will be the same next time; others are served
// anew when asked again.
func (s *Server) remember(ctx context.Context, principal, key, holder string, c *capture) {
	switch {
	case c.status >= 500, c.status == 499, c.status == http.StatusTooManyRequests, c.status == http.StatusRequestTimeout, c.status == 0:
		s.forget(ctx, principal, key, holder)
		return
	}
	replay := store.Replay{Status: c.status, Header: map[string]string{}, Body: c.body.Bytes()}
	for _, name := range []string{"Content-Type", "ETag", "Location"} {
		if v := c.header.Get(name); v != "" {
			replay.Header[name] = v
		}
	}
	if err := s.db.FinishReplay(ctx, principal, key, holder, replay); err != nil {
		s.log.WarnContext(ctx, "an answer could not be remembered for its Idempotency-Key", slog.String("request_id", holder), slog.Any("error", err))
		s.forget(ctx, principal, key, holder)
	}
}

func (s *Server) forget(ctx context.Context, principal, key, holder string) {
	if err := s.db.DropReplay(ctx, principal, key, holder); err != nil {
		s.log.WarnContext(ctx, "an Idempotency-Key could not be freed; it frees itself", slog.String("request_id", holder), slog.Any("error", err))
	}
}

func hashRequest(r *http.Request, body []byte) []byte {
	h := sha256.New()
	_, _ = io.WriteString(h, r.Method+"\n"+r.URL.EscapedPath()+"?"+r.URL.RawQuery+"\n")
	_, _ = h.Write(body)
	return h.Sum(nil)
}

// readAll reads a body of at most limit bytes.
func readAll(r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, limit))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return nil, newProblem(fault.Unavailable, http.StatusRequestTimeout, "the request body did not come in time; send it again")
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "the request body could not be read: %w", err)
	}
	if int64(len(body)) == limit { // as huma counts
		return nil, fault.New(fault.TooLarge, "the request body is over %d bytes", limit)
	}
	return body, nil
}

func writeReplay(w http.ResponseWriter, replay store.Replay) {
	for name, value := range replay.Header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(replay.Status)
	_, _ = w.Write(replay.Body) // a client that went away
}

// capture holds an answer back until it is remembered.
type capture struct {
	http.ResponseWriter
	header http.Header
	status int
	body   bytes.Buffer
}

func (c *capture) Header() http.Header { return c.header }

func (c *capture) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
}

func (c *capture) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	return c.body.Write(b)
}

// Unwrap is not offered to http.ResponseController: what it would flush is here.
func (c *capture) flush() {
	if c.status == 0 {
		c.status = http.StatusNoContent
	}
	c.ResponseWriter.WriteHeader(c.status)
	_, _ = c.ResponseWriter.Write(c.body.Bytes())
}
