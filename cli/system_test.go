package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestSystem builds the real binary, runs it on a fresh data directory, and
// runs the scripts in testdata/system against it.
func TestSystem(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "edgewright")
	build := exec.Command("go", "build", "-o", bin, "../cmd/edgewright")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("hello"))
	}))
	t.Cleanup(origin.Close)

	data := t.TempDir()
	const token = "ew_test_0123456789abcdefghijklmnopqrstuvwxyz"
	api := startUp(t, bin, data, token)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/system",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("PATH", filepath.Dir(bin)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("EDGEWRIGHT_URL", api)
			env.Setenv("EDGEWRIGHT_TOKEN", token)
			env.Setenv("ORIGIN", origin.URL)
			env.Setenv("DATA", data)
			return os.MkdirAll(home, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"envsubst": envsubst, "replace": replaceText, "last": lastRevision, "secret": keepSecret,
		},
	})
}

// startUp runs "edgewright up" and returns the API's address when it serves.
func startUp(t *testing.T, bin, data, token string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	cmd := exec.CommandContext(ctx, bin, "up", "--data", data, "--listen-api", "127.0.0.1:0", "--listen-http", "127.0.0.1:0",
		"--listen-https", "127.0.0.1:0", "--listen-dns", "127.0.0.1:0", "--issuer", "local", "--resolvers", "127.0.0.1:1", "--log-level", "warn")
	cmd.Env = append(os.Environ(), "EDGEWRIGHT_ADMIN_TOKEN="+token)
	var log strings.Builder
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		cancel()
		if t.Failed() {
			t.Logf("log of up:\n%s", log.String())
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "READY "); ok {
			var ready struct{ Dashboard string }
			if err := json.Unmarshal([]byte(text), &ready); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			return strings.TrimRight(ready.Dashboard, "/")
		}
	}
	t.Fatalf("up ended without READY:\n%s", log.String())
	return ""
}

// envsubst FILE... replaces ${NAME} in files.
func envsubst(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// replace OLD NEW FILE replaces text in a file, and fails when it is not there.
func replaceText(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 || !strings.Contains(ts.ReadFile(args[2]), args[0]) {
		ts.Fatalf("replace: nothing to replace in %v", args)
	}
	text := strings.ReplaceAll(ts.ReadFile(args[2]), args[0], args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text), 0o600))
}

// last NAME sets a variable to the last revision of the script's project.
func lastRevision(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("edgewright", "history", "-n", "1", "-o", "json"))
	var list struct {
		Revisions []struct {
			Revision json.Number `json:"revision"`
		} `json:"revisions"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &list))
	if len(list.Revisions) != 1 {
		ts.Fatalf("no revision")
	}
	ts.Setenv(args[0], list.Revisions[0].Revision.String())
}

// secret TOKEN ID sets variables from what "tokens create -o json" printed.
func keepSecret(ts *testscript.TestScript, _ bool, args []string) {
	var made struct{ Token, ID string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &made))
	ts.Setenv(args[0], made.Token)
	ts.Setenv(args[1], made.ID)
}
