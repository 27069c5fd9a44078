package zones

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// HealthCheck says how edges see whether an answer lives. An answer names it;
// each answer is asked at its own address.
type HealthCheck struct {
	Type       string `json:"type"` // edgeconfig.CheckTCP, CheckHTTP or CheckHTTPS
	Port       int    `json:"port,omitempty"`
	Address    string `json:"address,omitempty"` // to ask; "": the answer's own value
	Host       string `json:"host,omitempty"`    // of HTTP and TLS; "": the name of the set
	Path       string `json:"path,omitempty"`    // of HTTP; "": "/"
	SkipVerify bool   `json:"skip_verify,omitempty"`
	Interval   int    `json:"interval,omitempty"` // seconds; 0: 10
	Timeout    int    `json:"timeout,omitempty"`  // seconds; 0: 3
	Rise       int    `json:"rise,omitempty"`     // successes until it lives again; 0: 2
	Fall       int    `json:"fall,omitempty"`     // failures until it is dead; 0: 3
}

const maxChecks = 32 // of one set

// document is the check of one answer. Equal checks of a zone are one document.
func (h HealthCheck) document(zone, full, value string) edgeconfig.Check {
	address := h.Address
	if address == "" {
		address = strings.TrimSuffix(value, ".")
	}
	port := h.Port
	if port == 0 {
		port = map[string]int{edgeconfig.CheckHTTP: 80, edgeconfig.CheckHTTPS: 443}[h.Type]
	}
	k := edgeconfig.Check{
		Type: h.Type, Target: net.JoinHostPort(address, strconv.Itoa(port)), Path: h.Path, SkipVerify: h.SkipVerify,
		IntervalMS: 1000 * h.Interval, TimeoutMS: 1000 * h.Timeout, Rise: h.Rise, Fall: h.Fall,
	}
	if k.Type != edgeconfig.CheckTCP {
		k.Host = h.Host
		if k.Host == "" {
			k.Host = strings.TrimPrefix(full, "*.")
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %+v", zone, k))
	k.ID = "chk_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:15]))
	return k
}

func fieldsOf(err error) []fault.Field {
	var e *fault.Error
	if errors.As(err, &e) {
		return e.Fields
	}
	return nil
}

// checks validates the checks of a steered set, and that each answer that names
// one has one address to ask.
func (c *setChecker) checks(st *Steering) {
	if len(st.Checks) > maxChecks {
		c.add("/steering/checks", fmt.Sprintf("%d checks are more than %d", len(st.Checks), maxChecks), "remove some")
		return
	}
	full := FullName(c.owner, c.apex)
	for _, name := range sortedKeys(st.Checks) {
		h := st.Checks[name]
		at := "/steering/checks/" + name
		if name == "" || len(name) > maxTag {
			c.add(at, fmt.Sprintf("a check has a name of 1 to %d characters", maxTag), "name it for what it looks at")
		}
		if h.Type == edgeconfig.CheckTCP && h.Port == 0 {
			c.add(at+"/port", "a tcp check has no usual port", "write the port")
			continue
		}
		k := h.document("", full, "192.0.2.1")
		for _, f := range fieldsOf(edgeconfig.ValidateCheck(&k)) {
			where := map[string]string{"/interval_ms": "/interval", "/timeout_ms": "/timeout", "/target": "/port"}[f.Pointer]
			if where == "" {
				where = f.Pointer
			}
			detail, fix, _ := strings.Cut(f.Detail, ": ")
			switch f.Pointer { // in the words and units of a record
			case "/interval_ms":
				detail, fix = fmt.Sprintf("%d seconds are out of range", h.Interval), "write 1 to 300, or 0 for 10"
			case "/timeout_ms":
				detail, fix = fmt.Sprintf("%d seconds are out of range", h.Timeout), "write 1 to 30, or 0 for 3"
			case "/target":
				detail, fix = "there is no such port or address to ask", "write a port of 1 to 65535, and an address without one"
			case "/type":
				fix = "write one of them"
			}
			c.add(at+where, detail, cmp.Or(f.Fix, fix, "correct it"))
		}
	}
	for i, a := range st.Answers {
		h, there := st.Checks[a.Check]
		at := fmt.Sprintf("/steering/answers/%d/check", i)
		switch {
		case a.Check == "":
		case !there:
			c.add(at, fmt.Sprintf("there is no check %q in this set", a.Check), "define it below checks, by this name")
		case h.Address == "" && len(a.Values) != 1:
			c.add(at, fmt.Sprintf("the answer has %d values, and a check asks one", len(a.Values)), "write an answer for each value, or give the check an address")
		case h.Address == "" && c.typ != "A" && c.typ != "AAAA" && c.typ != "CNAME" && c.typ != TypeALIAS:
			c.add(at, fmt.Sprintf("the value of a %s record is nothing to connect to", c.typ), "give the check an address")
		}
	}
}
