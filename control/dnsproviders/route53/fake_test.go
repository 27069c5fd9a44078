package route53

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
)

const (
	goodKey    = "AKIAGOOD000000000000"
	readKey    = "AKIAREAD000000000000"
	secret     = "0123456789012345678901234567890123456789"
	hostedZone = "Z0123456789EXAMPLE"
)

// fake is Route 53's API as far as the driver uses it.
type fake struct {
	t     *testing.T
	mu    sync.Mutex
	zones []types.HostedZone
	sets  []types.ResourceRecordSet // in Route 53's order

	requests, writes, throttle, failAfter, failing, pending, changes int
	lose                                                             bool
}

func newFake(t *testing.T) (*fake, *httptest.Server) {
	f := &fake{t: t, failAfter: 1 << 30}
	add := func(id, name string, private bool) {
		f.zones = append(f.zones, types.HostedZone{Id: aws.String("/hostedzone/" + id), Name: aws.String(name), CallerReference: aws.String(id), Config: &types.HostedZoneConfig{PrivateZone: private}})
	}
	for i := range 150 { // two pages
		add(fmt.Sprintf("Z%05d", i), fmt.Sprintf("zone%03d.example.", i), false)
	}
	add("ZPRIVATE", "example.com.", true)
	add(hostedZone, "example.com.", false)
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server
}

// writeXML answers a document of the API.
func (f *fake) writeXML(w http.ResponseWriter, root, inner string) {
	w.Header().Set("Content-Type", "text/xml")
	if _, err := fmt.Fprintf(w, `<?xml version="1.0"?><%s xmlns="https://route53.amazonaws.com/doc/2013-04-01/">%s</%s>`, root, inner, root); err != nil {
		f.t.Error(err)
	}
}

func (f *fake) fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code, message)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	auth := r.Header.Get("Authorization")
	if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIA") || !strings.Contains(auth, "/us-east-1/route53/aws4_request") {
		f.t.Errorf("signed as %q", auth)
	}
	path, versioned := strings.CutPrefix(r.URL.Path, "/2013-04-01/")
	parts := strings.Split(path, "/")
	write := r.Method == http.MethodPost
	switch {
	case f.throttle > 0:
		f.throttle--
		if f.throttle%2 == 0 {
			f.fail(w, http.StatusBadRequest, "PriorRequestNotComplete", "The request was rejected because Route 53 was still processing a prior request.")
			return
		}
		f.fail(w, http.StatusBadRequest, "Throttling", "Rate exceeded")
	case !strings.Contains(auth, goodKey) && !strings.Contains(auth, readKey):
		f.fail(w, http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	case write && strings.Contains(auth, readKey):
		f.fail(w, http.StatusForbidden, "AccessDenied", "User: arn:aws:iam::1:user/u is not authorized to perform: route53:ChangeResourceRecordSets")
	case !versioned:
		f.t.Errorf("%s %s is not part of the API", r.Method, r.URL)
	case path == "hostedzone" && !write:
		f.listZones(w, r)
	case len(parts) == 2 && parts[0] == "change" && !write:
		status := types.ChangeStatusInsync
		if f.pending > 0 {
			f.pending--
			status = types.ChangeStatusPending
		}
		f.writeXML(w, "GetChangeResponse", f.changeInfo(parts[1], status))
	case len(parts) == 3 && parts[0] == "hostedzone" && strings.TrimSuffix(parts[2], "/") == "rrset":
		switch {
		case parts[1] != hostedZone:
			f.fail(w, http.StatusNotFound, "NoSuchHostedZone", "No hosted zone found with ID: "+parts[1])
		case write:
			f.change(w, r)
		default:
			f.list(w, r)
		}
	default:
		f.t.Errorf("%s %s is not part of the API", r.Method, r.URL)
		f.fail(w, http.StatusNotFound, "InvalidAction", "no such action")
	}
}

func (f *fake) changeInfo(id string, status types.ChangeStatus) string {
	return fmt.Sprintf("<ChangeInfo><Id>/change/%s</Id><Status>%s</Status><SubmittedAt>%s</SubmittedAt></ChangeInfo>", id, status, time.Unix(0, 0).UTC().Format(time.RFC3339))
}

func (f *fake) listZones(w http.ResponseWriter, r *http.Request) {
	from := 0
	if m := r.URL.Query().Get("marker"); m != "" {
		from = slices.IndexFunc(f.zones, func(z types.HostedZone) bool { return strings.HasSuffix(*z.Id, "/"+m) })
	}
	to := min(len(f.zones), from+100)
	var b strings.Builder
	out(&b, "HostedZones", reflect.ValueOf(f.zones[from:to]))
	fmt.Fprintf(&b, "<Marker></Marker><MaxItems>100</MaxItems><IsTruncated>%t</IsTruncated>", to < len(f.zones))
	if to < len(f.zones) {
		fmt.Fprintf(&b, "<NextMarker>%s</NextMarker>", strings.TrimPrefix(*f.zones[to].Id, "/hostedzone/"))
	}
	f.writeXML(w, "ListHostedZonesResponse", b.String())
}

// order is how Route 53 sorts: by the labels from the right, then by type.
func order(a, b types.ResourceRecordSet) int {
	labels := func(s types.ResourceRecordSet) []string {
		l := strings.Split(strings.TrimSuffix(*s.Name, "."), ".")
		slices.Reverse(l)
		return l
	}
	if c := slices.Compare(labels(a), labels(b)); c != 0 {
		return c
	}
	if c := strings.Compare(string(a.Type), string(b.Type)); c != 0 {
		return c
	}
	return strings.Compare(aws.ToString(a.SetIdentifier), aws.ToString(b.SetIdentifier))
}

// inWords is a name as Route 53 answers it.
func inWords(name string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSuffix(name, ".")), "*", `\052`) + "."
}

func (f *fake) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from := 0
	if name := q.Get("name"); name != "" {
		start := types.ResourceRecordSet{Name: aws.String(inWords(name)), Type: types.RRType(q.Get("type")), SetIdentifier: aws.String(q.Get("identifier"))}
		from = len(f.sets)
		for i, s := range f.sets {
			if order(s, start) >= 0 {
				from = i
				break
			}
		}
	}
	to := min(len(f.sets), from+100)
	var b strings.Builder
	out(&b, "ResourceRecordSets", reflect.ValueOf(f.sets[from:to]))
	fmt.Fprintf(&b, "<MaxItems>100</MaxItems><IsTruncated>%t</IsTruncated>", to < len(f.sets))
	if to < len(f.sets) {
		next := f.sets[to]
		fmt.Fprintf(&b, "<NextRecordName>%s</NextRecordName><NextRecordType>%s</NextRecordType>", *next.Name, next.Type)
		if next.SetIdentifier != nil {
			fmt.Fprintf(&b, "<NextRecordIdentifier>%s</NextRecordIdentifier>", *next.SetIdentifier)
		}
	}
	f.writeXML(w, "ListResourceRecordSetsResponse", b.String())
}

// change carries out a batch, all of it or nothing.
func (f *fake) change(w http.ResponseWriter, r *http.Request) {
	var batch types.ChangeBatch
	root, err := parse(r.Body)
	if err == nil && root.XMLName.Local != "ChangeResourceRecordSetsRequest" {
		err = fmt.Errorf("it is a %s", root.XMLName.Local)
	}
	var inner node
	if err == nil {
		inner, err = root.child("ChangeBatch")
	}
	if err == nil {
		err = inner.into(reflect.ValueOf(&batch).Elem())
	}
	if err != nil {
		f.t.Errorf("the request is not as the SDK's types have it: %v", err)
		f.fail(w, http.StatusBadRequest, "InvalidInput", "Invalid XML")
		return
	}
	if f.failAfter == 0 {
		f.failAfter, f.failing = 1<<30, attempts // also when the SDK tries again
	}
	if f.failing > 0 {
		f.failing--
		f.fail(w, http.StatusServiceUnavailable, "ServiceUnavailable", "broken")
		return
	}
	f.failAfter--
	f.writes++
	now := slices.Clone(f.sets)
	var refused []string
	records := 0
	for _, c := range batch.Changes {
		s := *c.ResourceRecordSet
		s.Name = aws.String(inWords(*s.Name))
		records += len(s.ResourceRecords)
		for _, r := range s.ResourceRecords { // its escapes are octal
			if s.Type == types.RRTypeTxt && decimalEscape.MatchString(*r.Value) {
				refused = append(refused, "Invalid Resource Record: InvalidCharacterString (Value contains an invalid escape) encountered with '"+*r.Value+"'")
			}
		}
		i := slices.IndexFunc(now, func(o types.ResourceRecordSet) bool { return order(o, s) == 0 })
		name := fmt.Sprintf("[name='%s', type='%s']", *s.Name, s.Type)
		switch {
		case c.Action == types.ChangeActionCreate && i >= 0:
			refused = append(refused, "Tried to create resource record set "+name+" but it already exists")
		case c.Action == types.ChangeActionCreate:
			now = append(now, s)
		case i < 0:
			refused = append(refused, "Tried to delete resource record set "+name+" but it was not found")
		case !sameValues(now[i], s):
			refused = append(refused, "Tried to delete resource record set "+name+" but the values provided do not match the current values")
		default:
			now = slices.Delete(now, i, i+1)
		}
	}
	slices.SortFunc(now, order)
	for i, a := range now {
		for _, b := range now[:i] {
			if *a.Name == *b.Name && (a.Type == "CNAME") != (b.Type == "CNAME") {
				refused = append(refused, fmt.Sprintf("RRSet of type CNAME with DNS name %s is not permitted as it conflicts with other records with the same DNS name", *a.Name))
			}
		}
	}
	if records > 1000 {
		refused = append(refused, "Number of records limit of 1000 exceeded.")
	}
	if len(refused) > 0 {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `<?xml version="1.0"?><InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages><Message>%s</Message></Messages><RequestId>r</RequestId></InvalidChangeBatch>`, strings.Join(refused, "</Message><Message>"))
		return
	}
	f.sets = now
	if f.lose {
		f.lose = false
		panic(http.ErrAbortHandler)
	}
	f.changes++
	f.writeXML(w, "ChangeResourceRecordSetsResponse", f.changeInfo("C"+strconv.Itoa(f.changes), types.ChangeStatusPending))
}

// decimalEscape is three digits after a backslash that are no octal byte.
var decimalEscape = regexp.MustCompile(`\\([4-9][0-9]{2}|[0-9][89][0-9]|[0-9]{2}[89])`)

func sameValues(a, b types.ResourceRecordSet) bool {
	values := func(s types.ResourceRecordSet) []string {
		var list []string
		for _, r := range s.ResourceRecords {
			list = append(list, *r.Value)
		}
		slices.Sort(list)
		return list
	}
	return aws.ToInt64(a.TTL) == aws.ToInt64(b.TTL) && slices.Equal(values(a), values(b))
}

// put writes as somebody at the console does.
func (f *fake) put(sets ...dnsplan.RRset) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range sets {
		one := *sdkSet(s)
		one.Name = aws.String(inWords(*one.Name))
		for i, r := range one.ResourceRecords {
			// In words of their own: capitals, and a text in two strings.
			switch text := *r.Value; {
			case s.Type == "CNAME" || s.Type == "MX":
				one.ResourceRecords[i].Value = aws.String(strings.ToUpper(text))
			case s.Type == "TXT" && len(text) > 4 && !strings.Contains(text, `\`):
				one.ResourceRecords[i].Value = aws.String(text[:3] + `" "` + text[3:])
			}
		}
		f.sets = append(f.sets, one)
	}
	slices.SortFunc(f.sets, order)
}
