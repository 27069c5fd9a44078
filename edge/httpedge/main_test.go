package httpedge_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var versions = map[string]int{"h1": 1, "h2": 2, "h3": 3}

// eachVersion runs a test with a client of each HTTP version.
func eachVersion(t *testing.T, f func(t *testing.T, version int)) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) { f(t, version) })
	}
}

// edgeWith runs a node with one site, shop.test, before an origin.
func edgeWith(t *testing.T, origin http.HandlerFunc, change ...func(*edgeconfig.Site)) *nodetest.Edge {
	t.Helper()
	server := httptest.NewServer(origin)
	t.Cleanup(server.Close)
	e := nodetest.Start(t)
	s := nodetest.Site("dom_shop", "shop.test", server.URL)
	for _, f := range change {
		f(s)
	}
	e.Serve(s)
	return e
}

func startEdge(t *testing.T, change ...func(*node.Options)) *nodetest.Edge {
	t.Helper()
	return nodetest.Start(t, change...)
}

type answer struct {
	status int
	header http.Header
	body   string
	resp   *http.Response
}

func do(t *testing.T, c *http.Client, r *http.Request) answer {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: body: %v", r.Method, r.URL, err)
	}
	return answer{resp.StatusCode, resp.Header, string(b), resp}
}

func request(t *testing.T, method, url, body string, fields ...string) *http.Request {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, content)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

func get(t *testing.T, c *http.Client, url string, fields ...string) answer {
	t.Helper()
	return do(t, c, request(t, "GET", url, "", fields...))
}

// raw sends bytes to the node's HTTP port and returns all that comes back.
func raw(t *testing.T, address, input string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, input); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil && len(b) == 0 {
		t.Fatal(err)
	}
	return string(b)
}
