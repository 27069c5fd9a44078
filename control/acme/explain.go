package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/fault"
)

func isProblem(err error, kind string) bool {
	var problem acme.Problem
	return errors.As(err, &problem) && problem.Type == kind
}

// explain turns what happened into what the user is told.
func (c *Client) explain(ctx context.Context, err error, names []string, retryAfter time.Duration) error {
	var known *certificates.IssueError
	if errors.As(err, &known) {
		return known
	}
	out := &certificates.IssueError{Err: err, RetryAfter: retryAfter}
	if problem, ok := problemIn(err); ok {
		out.Problem, out.Away = c.explainProblem(problem, names)
		out.Invalid = unproved(problem)
		return out
	}
	var own *fault.Error
	if errors.As(err, &own) {
		return own // the vault, settings
	}
	out.Away = true
	var unknown x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	var network net.Error
	switch {
	case errors.As(err, &unknown) || errors.As(err, &wrongHost):
		out.Problem = certificates.Problem{Reason: "CANotTrusted", Message: "the certificate of the ACME directory " + c.options.Directory + " is not trusted", Fix: "let the operator name its root with --acme-root", Detail: err.Error()}
	case ctx.Err() != nil:
		out.Problem = certificates.Problem{Reason: "Timeout", Message: "the CA did not finish in time", Fix: "nothing needs to be done: it is tried again", Detail: err.Error()}
	case errors.As(err, &network):
		out.Problem = certificates.Problem{Reason: "CAUnreachable", Message: "the CA cannot be reached at " + c.options.Directory, Fix: "let the operator check that this machine may connect to it", Detail: err.Error()}
	default:
		out.Problem = certificates.Problem{Reason: "CAFailed", Message: "the CA did not answer as it should", Fix: "it is tried again; the CA's status page may tell more", Detail: err.Error()}
	}
	return out
}

// problemIn finds the CA's problem document, also inside of an order's error.
func problemIn(err error) (acme.Problem, bool) {
	var problem acme.Problem
	if errors.As(err, &problem) {
		return problem, true
	}
	var pointer *acme.Problem
	if errors.As(err, &pointer) && pointer != nil {
		return *pointer, true
	}
	return acme.Problem{}, false
}

// unproved reports that a CA looked and did not find what was to be there.
func unproved(p acme.Problem) bool {
	kinds := []string{"connection", "dns", "unauthorized", "incorrectResponse", "tls"}
	if _, ok := p.Resource.(acme.Authorization); ok {
		return slices.Contains(kinds, strings.TrimPrefix(p.Type, acme.ProblemTypeNamespace))
	}
	for _, sub := range p.Subproblems {
		if slices.Contains(kinds, strings.TrimPrefix(sub.Type, acme.ProblemTypeNamespace)) {
			return true
		}
	}
	return false
}

func (c *Client) explainProblem(p acme.Problem, names []string) (out certificates.Problem, away bool) {
	subject := strings.Join(names, ", ")
	if authorization, ok := p.Resource.(acme.Authorization); ok {
		subject = authorization.IdentifierValue()
	}
	for _, sub := range p.Subproblems {
		if sub.Identifier.Value != "" {
			subject, p.Type = sub.Identifier.Value, sub.Type
			if sub.Detail != "" {
				p.Detail = sub.Detail
			}
			break
		}
	}
	out = certificates.Problem{Subject: subject, Detail: p.Detail}
	say := func(reason, message, fix string) { out.Reason, out.Message, out.Fix = reason, message, fix }
	switch strings.TrimPrefix(p.Type, acme.ProblemTypeNamespace) {
	case "connection":
		say("ConnectionFailed", fmt.Sprintf("the CA could not connect to %s on port 80", subject),
			fmt.Sprintf("point %s at your edges and let port 80 through to them from everywhere", subject))
	case "dns":
		say("DNSFailed", fmt.Sprintf("the CA could not resolve %s", subject),
			"check the A and AAAA records, and DNSSEC when it is on")
	case "unauthorized", "incorrectResponse":
		say("WrongAnswer", fmt.Sprintf("the CA looked for the challenge at %s and found another answer", subject),
			fmt.Sprintf("another server answers for it: make every A and AAAA record of %s lead to your edges, and take away a proxy in front", subject))
	case "tls":
		say("TLSFailed", fmt.Sprintf("the CA was redirected to HTTPS at %s and could not speak TLS there", subject),
			"let port 80 of the domain lead to your edges")
	case "caa":
		say("CAAForbids", fmt.Sprintf("a CAA record of %s does not allow this CA", subject),
			fmt.Sprintf("add the record %s CAA 0 issue %q", subject, c.caIdentity()))
	case "rateLimited":
		say(certificates.ReasonRateLimited, "the CA's rate limit is reached", "nothing needs to be done: it is tried again when the CA allows")
	case "rejectedIdentifier", "unsupportedIdentifier":
		say("NameRefused", fmt.Sprintf("the CA does not sign certificates for %s", subject), "upload a certificate, or use the local CA for an internal name")
	case "externalAccountRequired":
		say("AccountBindingNeeded", "the CA wants the account bound to one of its own", "let the operator give the key that the CA hands out (external account binding)")
	case "userActionRequired":
		say("ActionRequired", "the CA wants something done first", "let the operator follow "+p.Instance)
	case "accountDoesNotExist":
		say("AccountUnknown", "the CA does not know this platform's account", "it is registered again with the next attempt")
	case "badCSR", "badPublicKey", "badSignatureAlgorithm":
		say("KeyRefused", "the CA does not accept the key or the request", "choose another key type, such as p256")
	case "serverInternal", "badNonce":
		say("CAFailed", "the CA had a fault of its own", "nothing needs to be done: it is tried again")
		return out, true
	default:
		say("Refused", "the CA refused the order", "see what it says; it is tried again")
	}
	return out, p.Status >= 500
}

// caIdentity is what a CAA record names.
func (c *Client) caIdentity() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if directory, err := c.connect().GetDirectory(ctx); err == nil && directory.Meta != nil && len(directory.Meta.CAAIdentities) > 0 {
		return directory.Meta.CAAIdentities[0]
	}
	return "the CA's domain"
}

// retryAfterKeeper notes the Retry-After of answers, which the protocol library
// does not hand out.
type retryAfterKeeper struct{ next http.RoundTripper }

type waitsKey struct{}

// waits collects them for one issuance.
type waits struct {
	mu    sync.Mutex
	until time.Time
	poll  time.Duration // of the last answer that did not refuse
}

func keepRetryAfter(ctx context.Context) (context.Context, *waits) {
	w := &waits{}
	return context.WithValue(ctx, waitsKey{}, w), w
}

func (k *retryAfterKeeper) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := k.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	w, ok := r.Context().Value(waitsKey{}).(*waits)
	switch value := response.Header.Get("Retry-After"); {
	case !ok:
	case response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusServiceUnavailable:
		w.note(value, time.Now())
	case response.StatusCode < 300:
		w.notePoll(value, time.Now())
	}
	return response, nil
}

// retryAt reads a Retry-After (RFC 9110 section 10.2.3): seconds or a date. The
// zero time: there is none.
func retryAt(value string, now time.Time) (at time.Time) {
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return now.Add(time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second)
	}
	at, _ = http.ParseTime(value)
	return at
}

// notePoll keeps when what was asked for is to be looked at again (RFC 8555
// section 7.4, section 7.5.1).
func (w *waits) notePoll(value string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.poll = max(retryAt(value, now).Sub(now), 0)
}

func (w *waits) polled() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.poll
}

func (w *waits) note(value string, now time.Time) {
	until := retryAt(value, now)
	w.mu.Lock()
	defer w.mu.Unlock()
	if until.After(w.until) {
		w.until = until
	}
}

// maxRetryAfter keeps a CA's mistake from stopping renewal for ever. Let's
// Encrypt's limits refill within a week.
const maxRetryAfter = 7 * 24 * time.Hour

func (w *waits) longest(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return min(max(w.until.Sub(now), 0), maxRetryAfter)
}
