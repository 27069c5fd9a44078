package test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestADomainChangesProjectWhileItIsAnswered asks every edge all the time while a
// domain with its zone goes from one project to another, signed and back.
func TestADomainChangesProjectWhileItIsAnswered(t *testing.T) {
	s := up(t, t.TempDir(), "--regions", "fra,iad", "--resolvers", "127.0.0.1:1")
	s.must(http.StatusCreated, "POST", "/domains", map[string]any{"domain": "shop.localhost"})
	s.must(http.StatusCreated, "POST", "/domains/shop.localhost/zone", nil)
	s.must(http.StatusOK, "PUT", "/domains/shop.localhost/dnssec", map[string]any{"enabled": true}, "If-Match", "*")
	s.must(http.StatusCreated, "POST", "/domains/shop.localhost/records", map[string]any{"name": "mail", "type": "A", "values": []string{"192.0.2.1"}})
	var project struct {
		Project struct{ ID string }
	}
	s.must(http.StatusCreated, "POST", "/api/v1/projects", map[string]any{"name": "other"}).decode(t, &project)

	ask := func(c *dns.Conn, name string) (string, error) {
		q := new(dns.Msg).SetQuestion(name, dns.TypeA).SetEdns0(1232, true)
		if err := c.WriteMsg(q); err != nil {
			return "", err
		}
		m, err := c.ReadMsg()
		if err != nil {
			return "", err
		}
		for _, rr := range m.Answer {
			if a, is := rr.(*dns.A); is && len(m.Answer) > 1 { // signed
				return a.A.String(), nil
			}
		}
		return "", fmt.Errorf("%v", m)
	}
	everywhere := func(name, address string) {
		t.Helper()
		for _, e := range s.Ready.Edges {
			eventually(t, 60*time.Second, func() error {
				c, err := dns.DialTimeout("tcp", e.DNS, 5*time.Second)
				if err != nil {
					return err
				}
				defer c.Close()
				got, err := ask(c, name)
				if err == nil && got != address {
					err = fmt.Errorf("%s at %s is %s", name, e.Region, got)
				}
				return err
			})
		}
	}
	everywhere("mail.shop.localhost.", "192.0.2.1")

	var asked atomic.Int64
	var asking sync.WaitGroup
	stop := make(chan struct{})
	for _, e := range s.Ready.Edges {
		c, err := dns.DialTimeout("tcp", e.DNS, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		asking.Go(func() {
			defer c.Close()
			pace := time.NewTicker(time.Millisecond) // edges share two processors with the control plane
			defer pace.Stop()
			for {
				select {
				case <-stop:
					return
				case <-pace.C:
				}
				if got, err := ask(c, "mail.shop.localhost."); err != nil || got != "192.0.2.1" {
					t.Errorf("after %d answers, %s says %q, %v", asked.Load(), e.Region, got, err)
					return
				}
				asked.Add(1)
			}
		})
	}
	from, to := "", "?project_id="+project.Project.ID
	toID, fromID := project.Project.ID, "default"
	for i := range 4 {
		var offer struct {
			Transfer struct{ ID string }
		}
		s.must(http.StatusCreated, "POST", "/domains/shop.localhost/transfer"+from, map[string]any{"to_project_id": toID}, "If-Match", "*").decode(t, &offer)
		s.must(http.StatusOK, "POST", "/transfers/"+offer.Transfer.ID+"/accept"+to, map[string]any{}, "If-Match", "*")
		name := fmt.Sprintf("n%d", i)
		s.must(http.StatusCreated, "POST", "/domains/shop.localhost/records"+to, map[string]any{"name": name, "type": "A", "values": []string{"192.0.2.2"}})
		everywhere(name+".shop.localhost.", "192.0.2.2")
		if from == "" {
			from = "?project_id=default"
		}
		from, to, fromID, toID = to, from, toID, fromID
	}
	close(stop)
	asking.Wait()
	t.Logf("%d answers during 4 transfers", asked.Load())
}
