package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// The types of events. Types not known here are passed on.
const (
	EventChange    = "change"    // ChangeEvent: a resource was written
	EventRollout   = "rollout"   // RolloutEvent: a revision came further on some edge
	EventLive      = "live"      // LiveEvent: what edges counted in the last second
	EventEdge      = "edge"      // EdgeEvent: an edge came, went or changed
	EventPurge     = "purge"     // PurgeEvent: a purge came further
	EventOperation = "operation" // OperationEvent: long work came further
	EventReset     = "reset"     // too much was missed: read everything again
)

// Event is one server-sent event.
type Event struct {
	ID   string          `json:"id,omitempty"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// ChangeEvent tells that there is something to read again.
type ChangeEvent struct {
	Type        string `json:"type"` // put, status or deleted
	Kind        string `json:"kind"`
	ID          string `json:"id"`
	Name        string `json:"name"`
	Project     string `json:"project_id,omitempty"`
	Environment string `json:"environment,omitempty"`
	Revision    int64  `json:"revision"`
}

// RolloutEvent tells how far a revision has come.
type RolloutEvent struct {
	Revision int64   `json:"revision"`
	Rollout  Rollout `json:"rollout"`
}

// LiveEvent is the traffic of about the last second.
type LiveEvent struct {
	At    time.Time           `json:"at"`
	Total LiveRate            `json:"total"`
	Sites map[string]LiveRate `json:"sites"` // by domain ID
}

// LiveRate is traffic per second.
type LiveRate struct {
	Requests float64 `json:"requests_per_second"`
	Hits     float64 `json:"hits_per_second"`
	Bytes    float64 `json:"bytes_per_second"`
	Errors   float64 `json:"errors_per_second"`
}

// EdgeEvent holds an edge as it is now.
type EdgeEvent struct {
	Edge Edge `json:"edge"`
}

// PurgeEvent holds a purge as it is now.
type PurgeEvent struct {
	Purge Purge `json:"purge"`
}

// OperationEvent holds long work as it is now.
type OperationEvent struct {
	Operation Operation `json:"operation"`
}

// maxEventBytes bounds one event.
const maxEventBytes = 1 << 20

// Events follows the live events of the project and environment until ctx ends
// or the loop is left. A lost connection is taken up again where it broke; the
// iterator ends with an error only when the server refuses, or cannot be
// reached for as many times in a row as Options.Retries.
func (c *Client) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		last, failures := "", 0
		pause := time.Second
		for ctx.Err() == nil {
			resp, err := c.openStream(ctx, last)
			if err != nil {
				yield(Event{}, err)
				return
			}
			stop := false
			err = readEvents(resp.Body, func(e Event, retry time.Duration) bool {
				if retry > 0 {
					pause = min(retry, 30*time.Second)
				}
				if e.ID != "" {
					last = e.ID
				}
				if e.Type == "" {
					return true
				}
				failures = 0
				if !yield(e, nil) {
					stop = true
				}
				return !stop
			})
			_ = resp.Body.Close()
			if stop || ctx.Err() != nil {
				return
			}
			failures++
			if failures > max(c.retries, 1) {
				if err == nil {
					err = io.ErrUnexpectedEOF
				}
				yield(Event{}, fault.New(fault.Unavailable, "the event stream keeps breaking: %w", err))
				return
			}
			if c.sleep(ctx, pause) != nil {
				return
			}
		}
	}
}

func (c *Client) openStream(ctx context.Context, last string) (*http.Response, error) {
	return c.send(ctx, call{method: http.MethodGet, path: infra + "/events", query: c.scoped(), accept: "text/event-stream", last: last})
}

var errEventTooLarge = errors.New("an event is over 1 MiB")

// readEvents reads a text/event-stream (WHATWG HTML, section 9.2) and calls fn
// for every dispatched event, and with an empty Type for an ID or a retry that
// came without data. fn returns false to stop.
func readEvents(r io.Reader, fn func(e Event, retry time.Duration) bool) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, 4096), maxEventBytes)
	scanner.Split(splitLines)
	var (
		event Event
		data  []byte
		seen  bool
		retry time.Duration
		first = true
	)
	for scanner.Scan() {
		line := scanner.Bytes()
		if first {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
			first = false
		}
		if len(line) == 0 {
			if seen {
				event.Data = bytes.TrimSuffix(data, []byte("\n"))
				if event.Type == "" {
					event.Type = "message"
				}
			} else {
				event.Type = ""
			}
			if seen || event.ID != "" || retry > 0 {
				if !fn(event, retry) {
					return nil
				}
			}
			event, data, seen, retry = Event{}, nil, false, 0
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "data":
			if len(data)+len(value) > maxEventBytes {
				return errEventTooLarge
			}
			data = append(append(data, value...), '\n')
			seen = true
		case "event":
			event.Type = string(value)
		case "id":
			if !bytes.ContainsRune(value, 0) {
				event.ID = string(value)
			}
		case "retry":
			if ms, err := strconv.ParseUint(strings.TrimSpace(string(value)), 10, 31); err == nil {
				retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
	return scanner.Err()
}

// splitLines ends lines at LF, CR or CRLF.
func splitLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0 && atEOF:
		// A line cut off by the end belongs to an event that is never dispatched.
		return len(data), nil, nil
	case i < 0:
		return 0, nil, nil
	case data[i] == '\n':
		return i + 1, data[:i], nil
	case i+1 < len(data) && data[i+1] == '\n':
		return i + 2, data[:i], nil
	case i+1 < len(data) || atEOF:
		return i + 1, data[:i], nil
	}
	return 0, nil, nil // CR at the end of what is read: an LF may follow
}
