package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/client"
)

// onTerminal is an app that believes that a person looks at it.
func onTerminal(input string) (*app, *bytes.Buffer) {
	var errs bytes.Buffer
	return &app{
		ctx: context.Background(), in: strings.NewReader(input), out: &errs, err: &errs, inTTY: true, errTTY: true,
		flags: &globals{Output: "table"}, now: time.Now,
	}, &errs
}

func TestConfirm(t *testing.T) {
	for answer, yes := range map[string]bool{"y\n": true, "Yes\n": true, "y": true, "n\n": false, "\n": false, "": false, "yep\n": false} {
		a, out := onTerminal(answer)
		err := a.confirm(false, "Remove %s?", "x\x1b[2J")
		if (err == nil) != yes || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%q: %v %q", answer, err, out)
		}
		if !yes && (!errors.Is(err, status(exitFailed)) || !strings.Contains(out.String(), "Nothing was changed.")) {
			t.Errorf("%q: %v %q", answer, err, out)
		}
	}
	a, out := onTerminal("")
	if err := a.confirm(true, "Remove?"); err != nil || out.Len() > 0 {
		t.Errorf("--yes asked: %v %q", err, out)
	}
}

// A terminal's board is drawn over itself.
func TestBoardRedraws(t *testing.T) {
	a, out := onTerminal("")
	b := a.board()
	b.update("Revision 9", []boardLine{{"fra", "pending", ""}, {"nyc-1", "pending", ""}})
	b.update("Revision 9", []boardLine{{"fra", "verified", ""}, {"nyc-1", "rejected", "no such phase"}})
	want := "Revision 9\n  fra    pending\n  nyc-1  pending\n" +
		"\x1b[3A\x1b[J" + "Revision 9\n  fra    verified\n  nyc-1  rejected  no such phase\n"
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}

// With hundreds of edges, those that are not done are what one looks for.
func TestBoardOfMany(t *testing.T) {
	a, out := onTerminal("")
	b := a.board()
	var lines []boardLine
	for i := range 330 {
		state := "verified"
		if i == 200 {
			state = "pending"
		}
		lines = append(lines, boardLine{fmt.Sprintf("edge-%03d", i), state, ""})
	}
	b.update("Revision 9", lines)
	if got := out.String(); got != "Revision 9\n  edge-200  pending\n" {
		t.Errorf("%q", got)
	}
	for i := range lines {
		lines[i].state = "pending"
	}
	b.update("Revision 9", lines)
	if n := strings.Count(b.drawn, "\n"); n != maxBoard+1 {
		t.Errorf("%d lines", n)
	}
	before := out.Len()
	b.update("Revision 9", lines)
	if out.Len() != before {
		t.Error("drawn again although nothing changed")
	}
}

// Machines get no progress.
func TestBoardIsSilentForMachines(t *testing.T) {
	a, out := onTerminal("")
	a.flags.Output = "json"
	a.board().update("x", []boardLine{{"a", "b", ""}})
	if out.Len() > 0 {
		t.Errorf("%q", out)
	}
}

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		done, total int
		want        string
	}{{0, 2, "[" + strings.Repeat(" ", 24) + "]"}, {1, 2, "[" + strings.Repeat("=", 12) + strings.Repeat(" ", 12) + "]"}, {0, 0, "[" + strings.Repeat("=", 24) + "]"}} {
		if got := bar(tt.done, tt.total); got != tt.want {
			t.Errorf("%d of %d: %q", tt.done, tt.total, got)
		}
	}
}

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := onTerminal("")
		n := 0
		start := time.Now()
		timedOut, err := a.poll(time.Hour, func() (bool, error) { n++; return n == 5, nil })
		if timedOut || err != nil || n != 5 {
			t.Errorf("%v %v after %d looks", timedOut, err, n)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
		n = 0
		timedOut, err = a.poll(time.Minute, func() (bool, error) { n++; return false, nil })
		if !timedOut || err != nil || n < 30 || n > 60 {
			t.Errorf("%v %v after %d looks", timedOut, err, n)
		}
		if _, err = a.poll(time.Minute, func() (bool, error) { return false, errors.New("no") }); err == nil {
			t.Error("an error was swallowed")
		}
		ctx, cancel := context.WithCancel(context.Background())
		a.ctx = ctx
		cancel()
		if _, err = a.poll(time.Minute, func() (bool, error) { return false, nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func TestRolloutWords(t *testing.T) {
	for want, r := range map[string]client.Rollout{
		"":                            {},
		"2 of 2 verified":             {Edges: 2, Verified: 2},
		"1 of 3 verified, 2 pending":  {Edges: 3, Verified: 1, Pending: 2},
		"0 of 1 verified, 1 rejected": {Edges: 1, Rejected: 1},
		"3 of 3 applied, 1 verified":  {Edges: 3, Applied: 3, Verified: 1},
	} {
		if got := rolloutText(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// The server names only the edges that are behind.
func TestRolloutLines(t *testing.T) {
	edges := []client.Edge{{ID: "edge_1", Name: "a", Region: "fra"}, {ID: "edge_2", Name: "b", Region: "nyc"}}
	behind := []client.EdgeRollout{{Edge: "edge_2", State: "pending"}}
	tests := []struct {
		name  string
		r     client.Rollout
		edges []client.Edge
		want  []boardLine
	}{
		{"not published", client.Rollout{}, edges, nil},
		{"half", client.Rollout{Edges: 2, Pending: 1, Applied: 1, PerEdge: behind}, edges, []boardLine{{"a (fra)", "applied", ""}, {"b (nyc)", "pending", ""}}},
		{"applied", client.Rollout{Edges: 2, Applied: 2, Verified: 1}, edges, []boardLine{{"a (fra)", "applied", ""}, {"b (nyc)", "applied", ""}}},
		{"verified", client.Rollout{Edges: 2, Applied: 2, Verified: 2}, edges, []boardLine{{"a (fra)", "verified", ""}, {"b (nyc)", "verified", ""}}},
		{"edges not shown", client.Rollout{Edges: 2, Pending: 1, Applied: 1, PerEdge: behind}, nil, []boardLine{{"edges", "0 of 2 verified", ""}, {"edge_2", "pending", ""}}},
		{"names cut short", client.Rollout{Edges: 2, Pending: 2}, edges, []boardLine{{"a (fra)", "pending", ""}, {"b (nyc)", "pending", ""}}},
		{
			"rejected",
			client.Rollout{Edges: 2, Applied: 1, Verified: 1, Rejected: 1, PerEdge: []client.EdgeRollout{{Edge: "edge_1", State: "rejected", Reason: "no"}}},
			edges,
			[]boardLine{{"a (fra)", "rejected", "no"}, {"b (nyc)", "verified", ""}},
		},
	}
	for _, tt := range tests {
		if d := cmp.Diff(tt.want, rolloutLines(tt.r, tt.edges), cmp.AllowUnexported(boardLine{})); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}
