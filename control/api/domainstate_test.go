package api

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/mail"
	"github.com/edgewright/edgewright/control/store"
)

// mailbox is an SMTP server that keeps what it is given, decoded as far as the
// link needs it.
type mailbox struct {
	mu    sync.Mutex
	mails map[string]string
}

func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &mailSession{box: b}, nil }

type mailSession struct {
	box *mailbox
	to  string
}

func (s *mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	text := strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(string(body)) // quoted-printable
	s.box.mails[s.to] = text
	return err
}
func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }

func startMailbox(t *testing.T) (*mailbox, *mail.Sender) {
	t.Helper()
	b := &mailbox{mails: map[string]string{}}
	server := smtp.NewServer(b)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	sender, err := mail.New(mail.Options{URL: "smtp://" + l.Addr().String(), From: "edge@example.com"})
	ok(t, err)
	return b, sender
}

// From the request to the button, over real SMTP and real HTTP.
func TestVerifyByMail(t *testing.T) {
	e := newEnv(t)
	box, sender := startMailbox(t)
	names := e.server.domains
	names.Mailer, names.PublicURL = sender, func() string { return e.http.URL }
	a := e.admin()
	a.post(infrastructure+"/domains", AddDomain{Domain: "shop.example.org"}).want(http.StatusCreated)
	var v Verified
	a.post(infrastructure+"/domains/shop.example.org/verify", Verify{Method: "email"}).want(http.StatusOK, &v)
	if v.Verified || v.Domain.Verification.Mail == nil || len(v.Domain.Verification.Mail.Links) != 5 || v.Domain.Verification.Mail.Links[0].State != "sent" || len(box.mails) != 5 {
		t.Fatalf("%d mails, %+v", len(box.mails), v.Domain.Verification)
	}
	a.post(infrastructure+"/domains/shop.example.org/verify", Verify{Method: "email", Resend: true}).refused(http.StatusTooManyRequests, "rate_limited")
	a.post(infrastructure+"/domains/shop.example.org/verify", Verify{Method: "email", Address: "me@example.org"}).refused(http.StatusUnprocessableEntity, "invalid")

	link := regexp.MustCompile(regexp.QuoteMeta(e.http.URL) + `/verify-domain\?\S+`).FindString(box.mails["hostmaster@example.org"])
	path := strings.TrimPrefix(link, e.http.URL)
	anybody := &who{e: e}
	for range 2 { // scanners, and then the person
		page := anybody.get(path).want(http.StatusOK)
		if text := string(page.body); !strings.Contains(text, `<form method="post"`) || !strings.Contains(text, "hostmaster@example.org") || !strings.Contains(text, "Confirm shop.example.org") {
			t.Fatalf("the page: %s", text)
		}
		if page.header.Get("Referrer-Policy") != "no-referrer" || page.header.Get("Cache-Control") != "no-store" || !strings.Contains(page.header.Get("Content-Security-Policy"), "form-action 'self'") {
			t.Errorf("headers %v", page.header)
		}
	}
	var d DomainAnswer
	a.get(infrastructure+"/domains/shop.example.org").want(http.StatusOK, &d)
	if d.Domain.Verification.Status != "pending" {
		t.Fatal("opening the page has confirmed it")
	}
	u, err := url.Parse(link)
	ok(t, err)
	confirm := func(token string) *reply {
		r, err := http.NewRequest(http.MethodPost, e.http.URL+"/verify-domain", strings.NewReader(url.Values{"token": {token}}.Encode()))
		ok(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultTransport.RoundTrip(r)
		ok(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		ok(t, err)
		return &reply{t: t, status: resp.StatusCode, header: resp.Header, body: body}
	}
	token := u.Query().Get("token")
	confirm(token[:len(token)-2]).want(http.StatusBadRequest)
	confirm(strings.Repeat("x", 8<<10)).want(http.StatusBadRequest)
	// The link counts once, so it has to count also when who follows it leaves at
	// once.
	left, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(left, http.MethodPost, "/verify-domain", strings.NewReader(url.Values{"token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	page := httptest.NewRecorder()
	if e.server.ServeHTTP(page, r); page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "is confirmed") {
		t.Errorf("%d %s", page.Code, page.Body)
	}
	confirm(token).want(http.StatusConflict)
	anybody.get(path).want(http.StatusConflict)
	a.get(infrastructure+"/domains/shop.example.org").want(http.StatusOK, &d)
	if v := d.Domain.Verification; v.Status != "verified" || v.Method != "email" || v.Mail.Links[0].State != "spent" {
		t.Errorf("%+v", v)
	}
	trace, _, err := e.db.AuditLog(t.Context(), store.AuditQuery{Action: "domain.verify", Limit: 1})
	if err != nil || len(trace) != 1 || trace[0].Actor != "mail hostmaster@example.org" || trace[0].Project != "default" {
		t.Errorf("%+v, %v", trace, err)
	}
}

func TestLockAndTransferOverHTTP(t *testing.T) {
	e := newEnv(t)
	from, alice := e.project("from", access.Admin)
	to, bob := e.project("to", access.Admin)
	dev := e.tokenFor(from, access.Developer)
	narrow := e.tokenFor(from, access.Developer, "domains:write", "domains:read")
	domain, at := infrastructure+"/domains/shop.localhost", "?project_id="+from
	var added DomainAdded
	dev.post(infrastructure+"/domains"+at, AddDomain{Domain: "shop.localhost", Origin: "http://127.0.0.1:3000"}).want(http.StatusCreated, &added)

	dev.do(http.MethodPut, domain+"/lock"+at, SetLock{Locked: true}).refused(http.StatusPreconditionRequired, "precondition_required")
	var plan Plan
	dev.with("If-Match", "*").do(http.MethodPut, domain+"/lock"+at+"&dry_run=true", SetLock{Locked: true}).want(http.StatusOK, &plan)
	if len(plan.Actions) != 1 || len(plan.Actions[0].Diff) != 1 || plan.Actions[0].Diff[0].Pointer != "/locked" {
		t.Errorf("%+v", plan)
	}
	var lock DomainLock
	dev.with("If-Match", etag(added.Domain.Revision)).do(http.MethodPut, domain+"/lock"+at, SetLock{Locked: true, Reason: "production"}).want(http.StatusOK, &lock)
	if !lock.Locked {
		t.Error("not locked")
	}
	any := func(w *who) *who { return w.with("If-Match", "*") }
	any(dev).do(http.MethodDelete, domain+at, nil).refused(http.StatusConflict, "conflict")
	any(dev).do(http.MethodPatch, domain+at, `{"dns":"manual"}`).refused(http.StatusConflict, "conflict")
	dev.post(infrastructure+"/plans"+at, Desired{Prune: true, Resources: []Declared{}}).refused(http.StatusConflict, "conflict")
	alice.post(fmt.Sprintf("%s/revisions/%d/revert%s", infrastructure, added.Domain.Revision, at), Undo{Force: true}).refused(http.StatusConflict, "conflict")
	alice.post(domain+"/transfer"+at, OfferTransfer{ToProject: to}).refused(http.StatusConflict, "conflict")
	any(narrow).do(http.MethodPut, domain+"/lock"+at, SetLock{Locked: false}).refused(http.StatusForbidden, "forbidden")
	any(dev).do(http.MethodPut, domain+"/lock"+at, SetLock{Locked: false, Reason: "moving"}).want(http.StatusOK)
	trace, _, err := e.db.AuditLog(t.Context(), store.AuditQuery{Action: "domain.lock", Limit: 1})
	if err != nil || len(trace) != 1 || !strings.Contains(string(trace[0].Detail), `"locked":false`) || !strings.Contains(string(trace[0].Detail), "moving") || trace[0].Project != from {
		t.Errorf("%+v, %v", trace, err)
	}

	dev.post(domain+"/transfer"+at, OfferTransfer{ToProject: to}).refused(http.StatusForbidden, "forbidden")
	var offer TransferAnswer
	alice.post(domain+"/transfer"+at, OfferTransfer{ToProject: to, Note: "as agreed"}).want(http.StatusCreated, &offer)
	var list TransferList
	bob.get(infrastructure+"/transfers?project_id="+to).want(http.StatusOK, &list)
	if len(list.Transfers) != 1 || list.Transfers[0].Direction != "incoming" || list.Transfers[0].FromEnvironment != "" || list.Transfers[0].Note != "as agreed" {
		t.Errorf("%+v", list)
	}
	accept := infrastructure + "/transfers/" + offer.Transfer.ID + "/accept?project_id=" + to
	e.tokenFor(to, access.Developer).post(accept, AcceptTransfer{}).refused(http.StatusForbidden, "forbidden")
	alice.post(infrastructure+"/transfers/"+offer.Transfer.ID+"/accept"+at, AcceptTransfer{}).refused(http.StatusForbidden, "forbidden")
	bob.post(accept+"&dry_run=true", AcceptTransfer{}).want(http.StatusOK, &plan)
	if len(plan.Actions) == 0 {
		t.Error("an empty plan")
	}
	var got DomainAnswer
	bob.post(accept, AcceptTransfer{}).want(http.StatusOK, &got)
	if got.Domain.Project != to || got.Domain.Verification.Status != "not_required" || got.Domain.Origin != "http://127.0.0.1:3000" {
		t.Errorf("%+v", got.Domain)
	}
	alice.get(domain+at).refused(http.StatusNotFound, "not_found")
	var events DomainEvents
	bob.get(domain+"/events?project_id="+to).want(http.StatusOK, &events)
	if len(events.Events) == 0 || events.Events[len(events.Events)-1].Type != "ownership.transferred" {
		t.Errorf("%+v", events)
	}
}

// What is wrong with a request about a domain, and what its sender is told.
func TestBadDomainRequests(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	a.post(infrastructure+"/domains", AddDomain{Domain: "shop.example.org"}).want(http.StatusCreated)
	a.post(infrastructure+"/domains", AddDomain{Domain: "free.localhost"}).want(http.StatusCreated)
	const shop = "/domains/shop.example.org"
	for _, tt := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/domains", `{"domain":""}`, 422, "empty"},
		{"POST", "/domains", `{"domain":"co.uk"}`, 422, "public suffix"},
		{"POST", "/domains", `{"domain":"192.0.2.1"}`, 422, "IP address"},
		{"POST", "/domains", `{"domain":"a.example.org b.example.org"}`, 422, "one at a time"},
		{"POST", "/domains", `{"domain":"www.apps.example.com"}`, 422, "kept for the platform"},
		{"POST", "/domains", `{"domain":"*.apps.example.com"}`, 422, "everybody's names"},
		{"POST", "/domains", `{"domain":"shop.example.org"}`, 409, "already there"},
		{"POST", "/domains", `{"domain":"x.example.org","dns":"magic"}`, 422, "no way to set records"},
		{"POST", "/domains", `{"domain":"x.example.org","dns":"manual","dns_account":"main"}`, 422, "credentials are for records at a DNS provider"},
		{"POST", "/domains", `{"domain":"x.localhost","dns":"managed"}`, 422, "have no records"},
		{"POST", "/domains", `{"domain":"*.example.org","method":"file"}`, 422, "not a wildcard"},
		{"POST", "/domains", `{"domain":"x.example.org","method":"fax"}`, 422, "not a method"},
		{"POST", "/domains", `{"domain":"x.example.org","locked":true}`, 422, "locked"},
		{"POST", "/domains", `{"domain":7}`, 422, ""},
		{"POST", "/domains", `{`, 400, ""},
		{"POST", shop + "/verify", `{"method":"smoke"}`, 422, "not a method"},
		{"POST", shop + "/verify", `{"method":"email"}`, 503, "--smtp-url"},
		{"POST", shop + "/verify", `{"method":"email","address":"x@y.example"}`, 503, "--smtp-url"},
		{"POST", "/domains/free.localhost/verify", `{"method":"email"}`, 409, "no proof"},
		{"POST", "/domains/none.example.org/verify", `{"method":"dns"}`, 404, "no such domain"},
		{"PUT", shop + "/lock", `{}`, 422, "locked"},
		{"PUT", shop + "/lock", `{"locked":"yes"}`, 422, ""},
		{"PUT", "/domains/none.example.org/lock", `{"locked":true}`, 404, "no such domain"},
		{"PATCH", shop, `{"locked":false}`, 422, "locked"},
		{"PATCH", shop, `{"dns":"telepathy"}`, 422, "no way to set records"},
		{"POST", shop + "/transfer", `{}`, 422, "to_project_id"},
		{"POST", shop + "/transfer", `{"to_project_id":"default"}`, 422, "has it already"},
		{"POST", shop + "/transfer", `{"to_project_id":"somebody"}`, 422, "no project of yours"},
		{"POST", shop + "/transfer", `{"to_project_id":"prj_x"}`, 409, "not verified here"},
		{"POST", "/domains/none.example.org/transfer", `{"to_project_id":"prj_x"}`, 404, "no such domain"},
		{"POST", "/transfers/xfr_none/accept", `{}`, 404, "no such offer"},
		{"POST", "/transfers/dom_x/accept", `{}`, 404, "no such offer"},
		{"DELETE", "/transfers/xfr_none", "", 404, "no such offer"},
		{"GET", "/domains/none.example.org/propagation", "", 404, "no such domain"},
		{"GET", "/domains/none.example.org/registry", "", 404, "no such domain"},
		{"GET", "/domains/none.example.org/setup", "", 404, "no such domain"},
		{"GET", "/domains/none.example.org/watch", "", 404, "no such domain"},
		{"GET", "/domains/none.example.org/events", "", 404, "no such domain"},
		{"GET", "/domains/..%2f..%2f/registry", "", 404, "no such domain"},
	} {
		var body any
		if tt.body != "" {
			body = tt.body
		}
		r := a.with("If-Match", "*").do(tt.method, infrastructure+tt.path, body)
		if r.status != tt.status || !strings.Contains(string(r.body), tt.says) || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s %s: %d %s", tt.method, tt.path, tt.body, r.status, r.body)
		}
	}
}
