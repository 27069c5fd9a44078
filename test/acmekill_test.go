package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// ordersOf counts the orders that a CA was sent, by name.
type ordersOf struct {
	mu    sync.Mutex
	count map[string]int
}

func (o *ordersOf) note(r *http.Request, body []byte) {
	if !strings.HasSuffix(r.URL.Path, "/order-plz") {
		return
	}
	var signed struct{ Payload string }
	var order struct {
		Identifiers []struct{ Value string }
	}
	if json.Unmarshal(body, &signed) != nil {
		return
	}
	payload, err := base64.RawURLEncoding.DecodeString(signed.Payload)
	if err != nil || json.Unmarshal(payload, &order) != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, identifier := range order.Identifiers {
		o.count[identifier.Value]++
	}
}

// The process is killed while it orders certificates: at its first request to the
// CA, at its second, and so on to its last, before the CA has it and after, its
// answer lost. Every name ends with a certificate, and no order is made a second
// time but where the CA's answer to the first was lost, which nobody can know of,
// or where the CA came to look at the name while nothing was there to answer it,
// which ends an order (RFC 8555 section 7.1.6).
func TestKilledAtEveryStepOfAnOrder(t *testing.T) {
	httpAddress := freeAddress(t)
	_, port, _ := net.SplitHostPort(httpAddress)
	httpPort, _ := strconv.Atoi(port)
	acme := startACME(t, httpPort)
	dir := t.TempDir()
	args := []string{"--listen-http", httpAddress, "--issuer", "acme", "--acme-directory", acme.Directory, "--acme-root", acme.RootFile, "--resolvers", acme.DNS}
	s := up(t, dir, args...)
	o := startOrigin(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	orders := &ordersOf{count: map[string]int{}}
	allowed := map[string]int{}

	kills := 0
	for _, answered := range []bool{true, false} {
		for step := 1; ; step++ {
			name := fmt.Sprintf("k%d-%t.localhost", step, answered)
			var mu sync.Mutex
			seen, asked := 0, ""
			victim := s
			watch := func(r *http.Request, body []byte, status int) bool {
				mu.Lock()
				defer mu.Unlock()
				after := status != 0
				if after == answered {
					if seen++; seen == step {
						asked = r.URL.Path
						victim.kill()
						if !after {
							return true // the CA never hears of it
						}
					}
				}
				if status == http.StatusCreated { // and not a refused nonce, which is sent again
					orders.note(r, body)
				}
				return false
			}
			acme.watch.Store(&watch)
			if _, err := s.call("POST", "/domains", map[string]any{"domain": name, "auto_configure": true, "origin": o.URL}); err != nil {
				t.Logf("the request to add %s was cut off: %v", name, err)
			}
			certified := func() error {
				var c struct {
					Certificate struct{ State, Reason string } `json:"certificate"`
				}
				a, err := s.call("GET", "/ssl/"+name, nil)
				if err != nil {
					return err
				}
				if a.Status != 200 {
					return fmt.Errorf("status %d: %.200s", a.Status, a.Body)
				}
				a.decode(t, &c)
				if c.Certificate.State != "valid" {
					return fmt.Errorf("state %s: %s", c.Certificate.State, c.Certificate.Reason)
				}
				return nil
			}
			killed := false
			eventually(t, time.Minute, func() error {
				select {
				case <-s.ended:
					killed = true
					return nil
				default:
					return certified()
				}
			})
			if !killed {
				acme.watch.Store(nil)
				break // it had fewer steps
			}
			kills++
			mu.Lock()
			path := asked
			mu.Unlock()
			allowed[name] = 1
			if answered && (strings.HasSuffix(path, "/order-plz") || strings.Contains(path, "/chalZ/")) {
				allowed[name] = 2
			}
			t.Logf("killed at request %d, %s, answered: %t", step, path, answered)
			s = up(t, dir, args...)
			if a, err := s.call("POST", "/domains", map[string]any{"domain": name, "auto_configure": true, "origin": o.URL}); err != nil || a.Status != 201 && a.Status != 409 {
				t.Fatalf("adding %s again: %d, %v", name, a.Status, err)
			}
			eventually(t, 90*time.Second, certified)
		}
	}
	if kills < 10 {
		t.Errorf("killed %d times: an order has more steps than that", kills)
	}
	total, most := 0, 0
	for name, n := range orders.count {
		total += n
		if allowed[name] == 0 {
			allowed[name] = 1
		}
		if n > allowed[name] {
			t.Errorf("%s: %d orders, %d can be explained", name, n, allowed[name])
		}
		most += allowed[name]
	}
	t.Logf("%d kills, %d names, %d orders, at most %d forced", kills, len(orders.count), total, most)
}
