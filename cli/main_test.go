package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"edgewright": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, testServers())) },
	})
}

// testServers print what they were given, so that scripts see how flags and
// environment arrive.
func testServers() Servers {
	show := func(w io.Writer, o any) error {
		raw, err := json.Marshal(o)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", raw)
		return err
	}
	return Servers{
		Version: "v1.2.3",
		Up: func(_ context.Context, o UpOptions) error {
			w := o.Stdout
			o.Streams = Streams{}
			return show(w, o)
		},
		Control: func(_ context.Context, o ControlOptions) error {
			w := o.Stdout
			o.Streams = Streams{}
			return show(w, o)
		},
		Edge: func(_ context.Context, o EdgeOptions) error {
			w := o.Stdout
			o.Streams = Streams{}
			return show(w, o)
		},
		Backup: func(_ context.Context, o StoreOptions, w io.Writer) error {
			_, err := fmt.Fprintf(w, "backup of %s %s\n", filepath.Base(o.Data), o.Database)
			return err
		},
		Restore: func(_ context.Context, o StoreOptions, r io.Reader) error {
			raw, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(o.Data, 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(o.Data, "restored"), raw, 0o600)
		},
		LoginLink: func(_ context.Context, o StoreOptions) (string, error) {
			return o.URL + "/login?link=" + filepath.Base(o.Data), nil
		},
		RotateMasterKey: func(context.Context, StoreOptions) (string, error) { return "key_1", nil },
		OpenAPI:         func() ([]byte, error) { return []byte("{\"openapi\":\"3.1.0\"}\n"), nil },
	}
}

// TestFaults runs scripts against a server that answers what the real one
// cannot be asked for, and against no server at all.
func TestFaults(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/faults",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			return os.MkdirAll(filepath.Join(env.WorkDir, "home"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fake": fakeServer, "mode": fileMode,
		},
	})
}

// canned is one answer of the fake server. Several for one request are given
// in order, the last one again and again.
type canned struct {
	Status int               `json:"status"`
	Header map[string]string `json:"header"`
	Body   json.RawMessage   `json:"body"`
	Text   string            `json:"text"` // in place of Body
}

// fakeServer is the script command "fake FILE": it serves the answers in a
// JSON file {"GET /path": [{...}]} and sets EDGEWRIGHT_URL. Each request is
// appended to the file "requests" as "METHOD URI authorization".
func fakeServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fake FILE")
	}
	var answers map[string][]canned
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &answers))
	log := ts.MkAbs("requests")
	given := map[string]int{}
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			fmt.Fprintf(f, "%s %s auth=%s body=%s\n", r.Method, r.RequestURI, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), body)
			_ = f.Close()
		}
		key := r.Method + " " + r.URL.Path
		list, ok := answers[key]
		if !ok {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, `{"code":"not_found","detail":"the script has no answer for %s"}`, key)
			return
		}
		a := list[min(given[key], len(list)-1)]
		given[key]++
		kind := "application/json"
		if a.Status >= 400 {
			kind = "application/problem+json"
		}
		w.Header().Set("Content-Type", kind)
		for k, v := range a.Header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(max(a.Status, 200))
		if a.Text != "" {
			_, _ = io.WriteString(w, a.Text)
			return
		}
		_, _ = w.Write(a.Body)
	})
	// One at a time: given and the log need no lock.
	server.Config.SetKeepAlivesEnabled(false)
	server.Start()
	ts.Defer(server.Close)
	ts.Setenv("EDGEWRIGHT_URL", server.URL)
	ts.Setenv("FAKE", strings.TrimPrefix(server.URL, "http://"))
}

// fileMode is the script command "mode FILE OCTAL".
func fileMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode FILE OCTAL")
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}
