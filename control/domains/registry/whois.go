package registry

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// What WHOIS servers call things; the protocol (RFC 3912) says nothing of it.
var (
	whoisRegistrar   = []string{"registrar", "sponsoring registrar", "registrar name"}
	whoisRegistrarID = []string{"registrar iana id", "sponsoring registrar iana id"}
	whoisCreated     = []string{"creation date", "created", "created on", "created date", "registered on", "registered", "registration date", "registration time", "domain registration date"}
	whoisUpdated     = []string{"updated date", "last updated", "last-update", "last update", "last modified", "changed", "modified"}
	whoisExpires     = []string{
		"registry expiry date", "registrar registration expiration date", "expiry date", "expiration date", "expiration time", "expires", "expires on",
		"expire date", "expire", "paid-till", "renewal date", "valid until", "validity", "domain expiration date",
	}
	whoisServer = []string{"name server", "name servers", "nserver", "nameserver", "nameservers", "ns"}
	whoisStatus = []string{"domain status", "status", "state", "eppstatus"}
	whoisDS     = []string{"ds rdata", "ds record", "dnssec ds data"}
)

// What WHOIS servers say of a name that nobody has registered.
var whoisFree = []string{"no match", "not found", "no entries found", "no data found", "nothing found", "no object found", "is available for", "domain is free", "status: free", "status: available", "is not registered"}

// parseWHOIS reads what a WHOIS server says of a name. registered is false when
// it says that nobody has it. An answer that says nothing that is understood is an
// error.
func parseWHOIS(name string, body []byte) (s State, registered bool, err error) {
	s = State{Name: name, Source: SourceWHOIS}
	understood := false
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(make([]byte, 0, 4096), maxAnswer)
	for lines.Scan() {
		line := strings.TrimSpace(strings.ToValidUTF8(lines.Text(), ""))
		if line == "" || line[0] == '%' || line[0] == '#' || line[0] == '>' {
			// "%ERROR:101: no entries found" is an answer, terms of use are not.
			if words := strings.ToLower(strings.TrimLeft(line, "% ")); !strings.HasPrefix(words, "error") && !strings.HasPrefix(words, "no ") || !isFree(line) {
				continue
			}
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			if !understood && isFree(line) {
				return s, false, nil
			}
			continue
		}
		key, value = strings.ToLower(strings.Trim(key, " .\t")), strings.TrimSpace(value)
		if value == "" {
			continue
		}
		if !understood && isFree(line) {
			return s, false, nil
		}
		understood = s.take(key, value) || understood
	}
	if !understood {
		return s, false, fmt.Errorf("its answer is not understood")
	}
	s.tidy()
	return s, true, nil
}

// take reads one line; the first value of a kind counts, as registries come
// before registrars.
func (s *State) take(key, value string) bool {
	switch {
	case slices.Contains(whoisRegistrar, key):
		if s.Registrar == "" {
			s.Registrar = value
		}
	case slices.Contains(whoisRegistrarID, key):
		if s.RegistrarID == "" {
			s.RegistrarID = value
		}
	case slices.Contains(whoisCreated, key):
		if s.CreatedAt == nil {
			s.CreatedAt = date(value)
		}
	case slices.Contains(whoisUpdated, key):
		if s.UpdatedAt == nil {
			s.UpdatedAt = date(value)
		}
	case slices.Contains(whoisExpires, key):
		if s.ExpiresAt == nil {
			s.ExpiresAt = date(value)
		}
	case slices.Contains(whoisServer, key):
		if fields := strings.Fields(value); len(fields) > 0 && len(s.NameServers) < maxList {
			if h := hostName(fields[0]); h != "" {
				s.NameServers = append(s.NameServers, h)
			}
		}
	case slices.Contains(whoisStatus, key):
		if e := eppState(value); e != "" && len(s.EPP) < maxList {
			s.EPP = append(s.EPP, e)
		}
	case slices.Contains(whoisDS, key):
		if fields := strings.Fields(value); len(fields) >= 4 && len(s.DS) < maxList {
			if digest := hex(strings.Join(fields[3:], "")); digest != "" {
				s.DS = append(s.DS, strings.Join(append(fields[:3:3], digest), " "))
			}
		}
	case key == "dnssec":
		switch v := strings.ToLower(value); {
		case strings.HasPrefix(v, "signed"), v == "yes":
			s.Signed = new(true)
		case strings.HasPrefix(v, "unsigned"), v == "no", v == "inactive":
			s.Signed = new(false)
		}
	default:
		return false
	}
	return true
}

func isFree(line string) bool {
	line = strings.Join(strings.Fields(strings.ToLower(line)), " ")
	return slices.ContainsFunc(whoisFree, func(words string) bool { return strings.Contains(line, words) })
}

// referral reads from whois.iana.org which server has the names of an ending.
func referral(body []byte) string {
	for _, line := range strings.Split(string(body), "\n") {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "refer", "whois":
			value = strings.TrimSpace(value)
			host, port, hasPort := strings.Cut(value, ":")
			if host = hostName(host); host == "" || hasPort && (port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "") {
				continue
			}
			if hasPort {
				return host + ":" + port
			}
			return host
		}
	}
	return ""
}
