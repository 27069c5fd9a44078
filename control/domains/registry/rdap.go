package registry

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// bootstrap is IANA's file of RDAP servers (RFC 9224 section 3).
type bootstrap struct {
	Services [][][]string `json:"services"`
}

// servers returns the base URLs for a name, those with TLS first: the entry that
// matches most labels counts (RFC 9224 section 4).
func (b bootstrap) servers(name string) []string {
	best, urls := -1, []string(nil)
	for _, service := range b.Services {
		if len(service) != 2 {
			continue
		}
		for _, ending := range service[0] {
			ending = strings.ToLower(ending)
			if labels := strings.Count(ending, "."); labels > best && (name == ending || strings.HasSuffix(name, "."+ending)) {
				best, urls = labels, service[1]
			}
		}
	}
	var secure, plain []string
	for _, u := range urls {
		parsed, err := url.Parse(u)
		switch {
		case err != nil || parsed.Host == "" || parsed.User != nil:
		case parsed.Scheme == "https":
			secure = append(secure, u)
		case parsed.Scheme == "http":
			plain = append(plain, u)
		}
	}
	return append(secure, plain...)
}

// rdapDomain is what is read of an RDAP domain object (RFC 9083 section 5.3).
type rdapDomain struct {
	Class       string   `json:"objectClassName"`
	LDHName     string   `json:"ldhName"`
	Status      []string `json:"status"`
	NameServers []struct {
		LDHName string `json:"ldhName"`
	} `json:"nameservers"`
	SecureDNS *struct {
		Signed *bool `json:"delegationSigned"`
		DS     []struct {
			KeyTag     int    `json:"keyTag"`
			Algorithm  int    `json:"algorithm"`
			DigestType int    `json:"digestType"`
			Digest     string `json:"digest"`
		} `json:"dsData"`
	} `json:"secureDNS"`
	Events []struct {
		Action string `json:"eventAction"`
		Date   string `json:"eventDate"`
	} `json:"events"`
	Entities []rdapEntity `json:"entities"`
}

type rdapEntity struct {
	Roles     []string `json:"roles"`
	PublicIDs []struct {
		Type       string `json:"type"`
		Identifier string `json:"identifier"`
	} `json:"publicIds"`
	VCard json.RawMessage `json:"vcardArray"`
}

// parseRDAP reads a domain object about name.
func parseRDAP(name string, body []byte) (State, error) {
	var d rdapDomain
	if err := json.Unmarshal(body, &d); err != nil {
		return State{}, fmt.Errorf("its answer is not RDAP: %w", err)
	}
	if d.Class != "domain" || d.LDHName != "" && !strings.EqualFold(strings.TrimSuffix(d.LDHName, "."), name) {
		return State{}, fmt.Errorf("its answer is about something else than %s", name)
	}
	s := State{Name: name, Source: SourceRDAP}
	for _, status := range d.Status {
		if e := eppState(status); e != "" {
			s.EPP = append(s.EPP, e)
		}
	}
	for _, ns := range d.NameServers {
		if h := hostName(ns.LDHName); h != "" {
			s.NameServers = append(s.NameServers, h)
		}
	}
	if sec := d.SecureDNS; sec != nil {
		s.Signed = sec.Signed
		for _, ds := range sec.DS {
			if digest := hex(ds.Digest); digest != "" {
				s.DS = append(s.DS, fmt.Sprintf("%d %d %d %s", ds.KeyTag, ds.Algorithm, ds.DigestType, digest))
			}
		}
	}
	for _, e := range d.Events {
		at := date(e.Date)
		switch strings.ToLower(e.Action) {
		case "registration":
			s.CreatedAt = at
		case "expiration":
			s.ExpiresAt = at
		case "last changed":
			s.UpdatedAt = at
		}
	}
	for _, e := range d.Entities {
		e.registrar(&s)
	}
	s.tidy()
	return s, nil
}

// registrar takes the registrar's name and IANA's number for it.
func (e rdapEntity) registrar(s *State) {
	is := false
	for _, role := range e.Roles {
		is = is || strings.EqualFold(role, "registrar")
	}
	if !is {
		return
	}
	s.Registrar = fullName(e.VCard)
	for _, id := range e.PublicIDs {
		if strings.EqualFold(id.Type, "IANA Registrar ID") {
			s.RegistrarID = id.Identifier
		}
	}
}

// fullName reads "fn" of a jCard (RFC 7095): ["vcard", [["fn", {}, "text", "..."]]].
func fullName(card json.RawMessage) string {
	var parts []json.RawMessage
	if json.Unmarshal(card, &parts) != nil || len(parts) < 2 {
		return ""
	}
	var properties [][]json.RawMessage
	if json.Unmarshal(parts[1], &properties) != nil {
		return ""
	}
	for _, p := range properties {
		var name, value string
		if len(p) >= 4 && json.Unmarshal(p[0], &name) == nil && strings.EqualFold(name, "fn") && json.Unmarshal(p[3], &value) == nil {
			return value
		}
	}
	return ""
}

// hex returns a digest in upper case, "" for what is none.
func hex(s string) string {
	s = strings.ToUpper(strings.ReplaceAll(s, " ", ""))
	if s == "" || len(s) > 128 || strings.Trim(s, "0123456789ABCDEF") != "" {
		return ""
	}
	return s
}

var dateLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05-07", "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05", "2006-01-02",
	"2006.01.02 15:04:05", "2006.01.02", "2006/01/02 15:04:05", "2006/01/02", "20060102", "02-Jan-2006 15:04:05 MST", "02-Jan-2006", "2-Jan-2006",
	"02.01.2006 15:04:05", "02.01.2006", "2.1.2006", "02/01/2006", "January 2 2006", "Mon Jan 2 15:04:05 MST 2006", "Mon Jan 2 2006",
}

// date reads the dates that registries write; nil for what is none.
func date(text string) *time.Time {
	text = strings.TrimSpace(text)
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 1980 && t.Year() < 2200 {
			t = t.UTC().Truncate(time.Second)
			return &t
		}
	}
	return nil
}
