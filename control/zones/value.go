package zones

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// TypeALIAS is our own: the addresses of another name, at a name that may have
// other records, such as the apex.
const TypeALIAS = "ALIAS"

// refusedTypes are not for users to set, with the reason.
var refusedTypes = map[string]string{
	"SOA":        "the SOA is made by itself: set the zone's contact and times instead",
	"DNSKEY":     "keys are made when the zone is signed: switch DNSSEC on",
	"CDS":        "CDS records are made when the zone is signed: switch DNSSEC on",
	"CDNSKEY":    "CDNSKEY records are made when the zone is signed: switch DNSSEC on",
	"RRSIG":      "signatures are made when the zone is signed: leave them out",
	"NSEC":       "denials are made when the zone is signed: leave them out",
	"NSEC3":      "denials are made when the zone is signed: leave them out",
	"NSEC3PARAM": "denials are made when the zone is signed: leave them out",
	"SIG":        "it is obsolete (RFC 3755)",
	"KEY":        "it is obsolete (RFC 3755)",
	"NXT":        "it is obsolete (RFC 3755)",
	"SPF":        "it is obsolete (RFC 7208 section 3.1): write a TXT record that begins with v=spf1",
	"A6":         "it is obsolete (RFC 6563): write AAAA",
	"ZONEMD":     "it would have to change with every record",
}

// knownTypes are the types that a name can have beside one another or not; what
// is asked for when the neighbours of a set are looked at.
var knownTypes = []string{
	"A", "AAAA", TypeALIAS, "CNAME", "DNAME", "MX", "TXT", "SRV", "CAA", "NS", "PTR", "SVCB", "HTTPS", "TLSA", "SSHFP", "NAPTR", "DS", "LOC",
	"AFSDB", "APL", "CERT", "DHCID", "HINFO", "HIP", "KX", "OPENPGPKEY", "RP", "SMIMEA", "URI", "CSYNC", "EUI48", "EUI64",
}

// ParseType brings the name of a type into the form it is stored in: "A",
// "ALIAS", "TYPE65280". Error: Invalid at /type.
func ParseType(text string) (string, error) {
	bad := func(detail, fix string) (string, error) { return "", fault.InvalidField("/type", detail, fix) }
	name := strings.ToUpper(strings.TrimSpace(text))
	if name == TypeALIAS || name == "ANAME" || name == "FLATTEN" {
		return TypeALIAS, nil
	}
	if number, ok := strings.CutPrefix(name, "TYPE"); ok {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return bad(fmt.Sprintf("%q is no type", text), "write TYPE and a number up to 65535 (RFC 3597)")
		}
		if known, ok := dns.TypeToString[uint16(n)]; ok {
			name = known
		} else {
			name = "TYPE" + strconv.FormatUint(n, 10)
		}
	}
	typ, ok := typeNumber(name)
	if reason := refusedTypes[name]; reason != "" {
		return bad(name+" records are not for zones here", reason)
	}
	switch {
	case !ok:
		return bad(fmt.Sprintf("%q is no record type", text), "write one such as A, AAAA, CNAME, MX or TXT, or TYPE and its number (RFC 3597)")
	case typ == 0 || typ == dns.TypeOPT || typ >= 128 && typ <= 255:
		return bad(name+" is not a type of records", "it exists in queries only (RFC 6895 section 3.1)")
	}
	return name, nil
}

func typeNumber(name string) (uint16, bool) {
	if n, ok := dns.StringToType[name]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(name, "TYPE"), 10, 16)
	return uint16(n), err == nil && strings.HasPrefix(name, "TYPE")
}

// typeName is the name of a type as it is stored.
func typeName(typ uint16) string {
	if name, ok := dns.TypeToString[typ]; ok {
		return name
	}
	return "TYPE" + strconv.Itoa(int(typ))
}

// nameFields are the words of a value that are names.
var nameFields = map[string][]int{
	"CNAME": {0}, "DNAME": {0}, "NS": {0}, "PTR": {0}, TypeALIAS: {0}, "MX": {1}, "AFSDB": {1}, "KX": {1}, "RP": {0, 1},
	"SRV": {3}, "SVCB": {1}, "HTTPS": {1}, "NAPTR": {5},
}

// maxValueText bounds one value as it is written.
const maxValueText = 64 << 10

// value is one record's data.
type value struct {
	text string // canonical
	wire []byte // canonical data; a name for ALIAS
}

// parseValue reads one value of a type. Names in it are whole names, with or
// without the dot at the end; one label alone and "@" are below the apex. The
// error is for people.
func parseValue(typ, text, apex string) (value, error) {
	if len(text) > maxValueText {
		return value{}, fmt.Errorf("the value has %d characters, more than %d", len(text), maxValueText)
	}
	if strings.ContainsAny(text, "\n\r\x00") {
		return value{}, fmt.Errorf("the value has a line break")
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return value{}, fmt.Errorf("the value is empty")
	}
	if typ == "TXT" {
		return parseTXT(text)
	}
	if fields := nameFields[typ]; fields != nil && !strings.HasPrefix(text, `\#`) {
		var err error
		if text, err = wholeNames(text, fields, apex); err != nil {
			return value{}, err
		}
	}
	if typ == TypeALIAS {
		name, err := canonical(text)
		if err != nil || strings.ContainsAny(text, " \t") {
			return value{}, fmt.Errorf("%q is no name: an ALIAS leads to one", text)
		}
		if isAddress(name) {
			return value{}, fmt.Errorf("%s is an address, an ALIAS leads to a name: write an A record", name)
		}
		return value{text: name + ".", wire: mustPack(name)}, nil
	}
	if err := hints(typ, text); err != nil {
		return value{}, err
	}
	number, _ := typeNumber(typ)
	_, known := dns.TypeToRR[number]
	if !known && !strings.HasPrefix(text, `\#`) {
		return value{}, fmt.Errorf(`the data of a type that is not known is written \# LENGTH HEX (RFC 3597), such as \# 4 0A000001`)
	}
	rr, err := parseRR(typ, text)
	if err != nil {
		return value{}, explain(typ, text, err)
	}
	wire, err := packRR(rr)
	if err != nil {
		return value{}, explain(typ, text, err)
	}
	if err := edgeconfig.CheckData(number, wire); err != nil {
		return value{}, err
	}
	plain, err := textOf(number, wire)
	if err != nil {
		return value{}, err
	}
	return value{text: plain, wire: wire}, checkValue(rr)
}

// parseRR reads a value with miekg/dns. The text has one line.
func parseRR(typ, text string) (dns.RR, error) {
	p := dns.NewZoneParser(strings.NewReader("x. 0 IN "+typ+" "+text+"\n"), ".", "")
	rr, ok := p.Next()
	if p.Err() != nil {
		return nil, p.Err()
	}
	if !ok {
		return nil, fmt.Errorf("there is no value")
	}
	if _, more := p.Next(); more || p.Err() != nil {
		return nil, fmt.Errorf("there is more than one record")
	}
	return rr, nil
}

// forms are how values of a type are written.
var forms = map[string]string{
	"MX": "PREFERENCE HOST, such as 10 mail.example.com", "SRV": "PRIORITY WEIGHT PORT HOST, such as 10 5 5060 sip.example.com",
	"CAA": `FLAGS TAG "VALUE", such as 0 issue "letsencrypt.org"`, "TLSA": "USAGE SELECTOR MATCHING HEX, such as 3 1 1 and 64 hexadecimal digits",
	"SSHFP": "ALGORITHM TYPE HEX, such as 4 2 and 64 hexadecimal digits", "DS": "TAG ALGORITHM DIGEST-TYPE HEX",
	"HTTPS": "PRIORITY NAME PARAMETERS, such as 1 . alpn=h2,h3", "SVCB": "PRIORITY NAME PARAMETERS, such as 1 . alpn=h2 port=8443",
	"NAPTR": `ORDER PREFERENCE "FLAGS" "SERVICE" "REGEXP" NAME`, "LOC": "LATITUDE LONGITUDE ALTITUDE, such as 52 22 23.0 N 4 53 32.0 E 0m",
	"CNAME": "a name, such as shop.example.net", "DNAME": "a name, such as example.net", "NS": "a name, such as ns1.example.net", "PTR": "a name, such as host.example.com",
	TypeALIAS: "a name, such as shop.example.net", "TXT": "the text, as it is or in quotes",
	"A": "an IPv4 address, such as 192.0.2.1", "AAAA": "an IPv6 address, such as 2001:db8::1",
}

// explain says what is wrong with a value in the words of its type.
func explain(typ, text string, err error) error {
	if form := forms[typ]; form != "" {
		return fmt.Errorf("%.80q is not the data of %s: write %s", text, typ, form)
	}
	message := err.Error()
	if i := strings.Index(message, ": \""); i > 0 {
		message = message[:i]
	}
	return fmt.Errorf("%.80q is not the data of %s (%s)", text, typ, strings.TrimPrefix(message, "dns: "))
}

// hints catches what people write into the wrong type.
func hints(typ, text string) error {
	switch {
	case typ == "A" && strings.Contains(text, ":"):
		return fmt.Errorf("%s is an IPv6 address or has a port: IPv6 goes into an AAAA record, ports have no place in the DNS but in SRV and HTTPS records", text)
	case typ == "AAAA" && !strings.Contains(text, ":") && strings.Count(text, ".") == 3:
		return fmt.Errorf("%s is an IPv4 address: it goes into an A record", text)
	case (typ == "A" || typ == "AAAA") && strings.Contains(text, "/"):
		return fmt.Errorf("%s is a URL or a network: write one address", text)
	case (typ == "CNAME" || typ == "DNAME" || typ == "NS" || typ == "PTR") && strings.Contains(text, "://"):
		return fmt.Errorf("%s is a URL: write the host name alone", text)
	case (typ == "CNAME" || typ == "DNAME" || typ == "NS") && isAddress(text):
		return fmt.Errorf("%s is an address, a %s leads to a name: write an A record", strings.Trim(text, "."), typ)
	}
	return nil
}

// isAddress reports whether what stands in the place of a name is an IPv4 address.
func isAddress(name string) bool {
	name = strings.TrimSuffix(name, ".")
	return strings.Trim(name, "0123456789.") == "" && strings.Count(name, ".") == 3
}

// checkValue looks at what is well-formed and makes no sense.
func checkValue(rr dns.RR) error {
	switch r := rr.(type) {
	case *dns.A:
		if r.A.IsUnspecified() || r.A.IsMulticast() {
			return fmt.Errorf("%s is no address of a host", r.A)
		}
	case *dns.AAAA:
		if r.AAAA.To4() != nil {
			return fmt.Errorf("%s is an IPv4 address in IPv6 form: write an A record", r.AAAA)
		}
		if r.AAAA.IsUnspecified() || r.AAAA.IsMulticast() {
			return fmt.Errorf("%s is no address of a host", r.AAAA)
		}
	case *dns.MX:
		if strings.Trim(r.Mx, "0123456789.") == "" && r.Mx != "." {
			return fmt.Errorf("%s is an address, an MX leads to a name: write the name of the mail server", strings.TrimSuffix(r.Mx, "."))
		}
		if r.Mx == "." && r.Preference != 0 {
			return fmt.Errorf("an MX of . says that there is no mail here, and has the preference 0 (RFC 7505): write 0 .")
		}
	case *dns.SRV:
		if isAddress(r.Target) {
			return fmt.Errorf("%s is an address, an SRV leads to a name: write the name of the server", strings.TrimSuffix(r.Target, "."))
		}
	case *dns.CAA:
		if r.Flag != 0 && r.Flag != 128 {
			return fmt.Errorf("the flags of a CAA are 0, or 128 for critical (RFC 8659 section 4.1)")
		}
		switch strings.ToLower(r.Tag) {
		case "issue", "issuewild", "issuemail", "issuevmc", "iodef", "contactemail", "contactphone":
		default:
			return fmt.Errorf("%q is no CAA property: write issue, issuewild, issuemail or iodef (RFC 8659)", r.Tag)
		}
	case *dns.TLSA:
		want := map[uint8]int{1: 64, 2: 128}[r.MatchingType]
		if r.Usage > 3 || r.Selector > 1 || r.MatchingType > 2 || want > 0 && len(r.Certificate) != want {
			return fmt.Errorf("a TLSA has usage 0 to 3, selector 0 or 1, matching 0 to 2, and a digest of its length (RFC 6698)")
		}
	case *dns.SSHFP:
		want := map[uint8]int{1: 40, 2: 64}[r.Type]
		if want > 0 && len(r.FingerPrint) != want {
			return fmt.Errorf("a fingerprint of type %d has %d hexadecimal digits, not %d (RFC 4255, RFC 6594)", r.Type, want, len(r.FingerPrint))
		}
	case *dns.DS:
		want := map[uint8]int{dns.SHA1: 40, dns.SHA256: 64, dns.SHA384: 96}[r.DigestType]
		if want == 0 || len(r.Digest) != want {
			return fmt.Errorf("a DS digest of type %d has another length than %d digits", r.DigestType, len(r.Digest))
		}
	case *dns.HTTPS:
		return checkSVCB(&r.SVCB)
	case *dns.SVCB:
		return checkSVCB(r)
	}
	return nil
}

func checkSVCB(r *dns.SVCB) error {
	if r.Priority == 0 && len(r.Value) > 0 {
		return fmt.Errorf("priority 0 makes an alias, which has no parameters: write 1 (RFC 9460 section 2.4.2)")
	}
	if isAddress(r.Target) {
		return fmt.Errorf("%s is an address, and a name stands here: write . for the name itself, and the address as ipv4hint", strings.TrimSuffix(r.Target, "."))
	}
	seen := map[dns.SVCBKey]bool{}
	for _, p := range r.Value {
		if seen[p.Key()] {
			return fmt.Errorf("the parameter %s is given twice (RFC 9460 section 2.1)", p.Key())
		}
		seen[p.Key()] = true
		if alpn, ok := p.(*dns.SVCBAlpn); ok && (len(alpn.Alpn) == 0 || slices.Contains(alpn.Alpn, "")) {
			return fmt.Errorf("alpn names no protocol (RFC 9460 section 7.1.1): write alpn=h2,h3, or leave it out")
		}
	}
	if seen[dns.SVCB_NO_DEFAULT_ALPN] && !seen[dns.SVCB_ALPN] {
		return fmt.Errorf("no-default-alpn leaves no protocol without alpn (RFC 9460 section 7.1.1): add alpn=h2,h3, or leave it out")
	}
	for _, p := range r.Value {
		mandatory, ok := p.(*dns.SVCBMandatory)
		if !ok {
			continue
		}
		for _, key := range mandatory.Code {
			if key == dns.SVCB_MANDATORY || !seen[key] {
				return fmt.Errorf("mandatory names %s, which is not among the parameters (RFC 9460 section 8): add that parameter, or leave it out of mandatory", key)
			}
		}
	}
	return nil
}

// wholeNames makes the names of a value whole.
func wholeNames(text string, fields []int, apex string) (string, error) {
	words := words(text)
	for _, i := range fields {
		if i >= len(words) {
			continue // the parser says what is missing
		}
		w := words[i]
		if strings.HasPrefix(w, `"`) {
			continue
		}
		whole := strings.HasSuffix(w, ".") && !strings.HasSuffix(w, `\.`)
		switch {
		case w == "@":
			w = apex + "."
		case whole:
		case strings.Contains(strings.ReplaceAll(w, `\.`, ""), "."):
			w += "."
		default:
			w += "." + apex + "."
		}
		if w != "." {
			if strings.Contains(w, "..") || strings.HasPrefix(w, ".") {
				return "", fmt.Errorf("%q has an empty label", words[i])
			}
			name, err := canonical(strings.TrimSuffix(w, "."))
			if err != nil {
				return "", err
			}
			w = name + "."
		}
		words[i] = w
	}
	return strings.Join(words, " "), nil
}

// words splits a value at white space outside of quotes.
func words(text string) []string {
	var out []string
	var word strings.Builder
	quoted, any := false, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			word.WriteByte(c)
			i++
			word.WriteByte(text[i])
			any = true
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t'):
			if any {
				out = append(out, word.String())
				word.Reset()
			}
			any = false
			continue
		}
		word.WriteByte(c)
		any = true
	}
	if any {
		out = append(out, word.String())
	}
	return out
}

// parseTXT reads the text of a TXT record: strings in quotes as zone files have
// them, or the text itself, which is cut into strings of 255 bytes.
func parseTXT(text string) (value, error) {
	var parts []string
	if strings.HasPrefix(text, `\#`) {
		rr, err := parseRR("TXT", text)
		if err != nil {
			return value{}, explain("TXT", text, err)
		}
		wire, err := packRR(rr)
		if err != nil {
			return value{}, err
		}
		return value{text: txtText(wire), wire: wire}, edgeconfig.CheckData(dns.TypeTXT, wire)
	}
	if !strings.HasPrefix(text, `"`) {
		for len(text) > 255 {
			parts = append(parts, text[:255])
			text = text[255:]
		}
		parts = append(parts, text)
	} else {
		var err error
		if parts, err = quotedStrings(text); err != nil {
			return value{}, err
		}
	}
	var wire []byte
	for _, p := range parts {
		for {
			n := min(len(p), 255)
			wire = append(append(wire, byte(n)), p[:n]...)
			if p = p[n:]; p == "" {
				break
			}
		}
	}
	if len(wire) > 65000 {
		return value{}, fmt.Errorf("the text has %d bytes, more than a record holds", len(wire))
	}
	return value{text: txtText(wire), wire: wire}, nil
}

func quotedStrings(text string) ([]string, error) {
	var out []string
	for i := 0; i < len(text); {
		switch {
		case text[i] == ' ' || text[i] == '\t':
			i++
			continue
		case text[i] != '"':
			return nil, fmt.Errorf("%.40q stands between strings in quotes: put all of it into quotes, or none", text[i:])
		}
		var s strings.Builder
		i++
		for {
			if i >= len(text) {
				return nil, fmt.Errorf("a string in quotes does not end: add the closing quote, or write \\\" for a quote that is part of the text")
			}
			c := text[i]
			if c == '"' {
				i++
				break
			}
			if c != '\\' {
				s.WriteByte(c)
				i++
				continue
			}
			if i+3 < len(text) && digits(text[i+1:i+4]) {
				n, _ := strconv.Atoi(text[i+1 : i+4])
				if n > 255 {
					return nil, fmt.Errorf("the escape %s is above 255", text[i:i+4])
				}
				s.WriteByte(byte(n))
				i += 4
				continue
			}
			if i+1 >= len(text) || text[i+1] >= '0' && text[i+1] <= '9' {
				return nil, fmt.Errorf("the escape at %.10q is not finished: write \\ and three digits, or \\\\ for a backslash", text[i:])
			}
			s.WriteByte(text[i+1])
			i += 2
		}
		out = append(out, s.String())
	}
	return out, nil
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// txtText writes strings in quotes.
func txtText(wire []byte) string {
	var out strings.Builder
	for i := 0; i < len(wire); {
		n := int(wire[i])
		if i > 0 {
			out.WriteByte(' ')
		}
		out.WriteByte('"')
		for _, c := range wire[i+1 : i+1+n] {
			switch {
			case c == '"' || c == '\\':
				out.WriteByte('\\')
				out.WriteByte(c)
			case c < ' ' || c >= 0x7f:
				fmt.Fprintf(&out, "\\%03d", c)
			default:
				out.WriteByte(c)
			}
		}
		out.WriteByte('"')
		i += n + 1
	}
	return out.String()
}

// packRR is a record's data in wire form, without compression.
func packRR(rr dns.RR) ([]byte, error) {
	c := dns.Copy(rr)
	c.Header().Name = "."
	buf := make([]byte, dns.Len(c)+64)
	n, err := dns.PackRR(c, buf, 0, nil, false)
	if err != nil {
		return nil, err
	}
	return slices.Clone(buf[11:n]), nil
}

// valueText is a record's data as it is stored.
func valueText(rr dns.RR) string {
	text := strings.TrimPrefix(rr.String(), rr.Header().String())
	return strings.TrimSpace(strings.ReplaceAll(text, "\t", " "))
}

// textOf writes wire data of a type as it is stored.
func textOf(typ uint16, wire []byte) (string, error) {
	if typ == dns.TypeTXT {
		if err := edgeconfig.CheckData(typ, wire); err != nil {
			return "", err
		}
		return txtText(wire), nil
	}
	h := dns.RR_Header{Name: ".", Rrtype: typ, Class: dns.ClassINET, Rdlength: uint16(len(wire))}
	if _, known := dns.TypeToRR[typ]; !known || len(wire) == 0 {
		return fmt.Sprintf(`\# %d %s`, len(wire), hex.EncodeToString(wire)), nil
	}
	rr, _, err := dns.UnpackRRWithHeader(h, wire, 0)
	if err != nil {
		return "", err
	}
	return valueText(rr), nil
}

// parseValues reads the values of a set and returns them in canonical order.
// pointer is where they stand.
func parseValues(typ string, texts []string, apex, pointer string) ([]value, []fault.Field) {
	var fields []fault.Field
	values := make([]value, 0, len(texts))
	at := map[string]int{}
	for i, text := range texts {
		v, err := parseValue(typ, text, apex)
		if err != nil {
			detail, fix, _ := strings.Cut(err.Error(), ": ")
			if fix == "" {
				fix = "write " + cmp.Or(forms[typ], `it as zone files have it, or as \# LENGTH HEX (RFC 3597)`)
			}
			fields = append(fields, fault.Field{Pointer: fmt.Sprintf("%s/%d", pointer, i), Detail: detail, Fix: fix})
			continue
		}
		if first, twice := at[string(v.wire)]; twice {
			fields = append(fields, fault.Field{Pointer: fmt.Sprintf("%s/%d", pointer, i), Detail: fmt.Sprintf("%s is given twice, first as number %d", v.text, first+1), Fix: "keep one of the two (RFC 2181 section 5)"})
			continue
		}
		at[string(v.wire)] = i
		values = append(values, v)
	}
	slices.SortFunc(values, func(a, b value) int { return bytes.Compare(a.wire, b.wire) })
	return values, fields
}
