// Package route53test is Route 53's API, as far as the driver uses it, for tests
// that talk to it over HTTP. It holds requests to the shapes of the SDK's own types.
package route53test

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
)

const (
	GoodKey = "AKIAGOOD000000000000"
	ReadKey = "AKIAREAD000000000000"
	Secret  = "0123456789012345678901234567890123456789"
	ZoneID  = "Z0123456789EXAMPLE"
)

// Fake is the API and what it holds. Its fields are read and set under Mu.
type Fake struct {
	T     testing.TB
	Mu    sync.Mutex
	Zones []types.HostedZone
	Sets  []types.ResourceRecordSet // of the zone that is asked for, in Route 53's order

	Requests, Writes int // so far
	Throttle         int // requests that are throttled
	FailAfter        int // changes, before one fails
	Retries          int // how often that one fails, whatever the SDK tries
	Failing          int
	Pending          int  // how often a change is still on its way
	Lose             bool // the answer to the next change

	changes int
}

// New starts an API that has many zones; the records are those of the one of the
// name given.
func New(t testing.TB, zone string) (*Fake, *httptest.Server) {
	f := &Fake{T: t, Retries: 1, FailAfter: 1 << 30}
	add := func(id, name string, private bool) {
		f.Zones = append(f.Zones, types.HostedZone{Id: aws.String("/hostedzone/" + id), Name: aws.String(name), CallerReference: aws.String(id), Config: &types.HostedZoneConfig{PrivateZone: private}})
	}
	for i := range 150 { // two pages
		add(fmt.Sprintf("Z%05d", i), fmt.Sprintf("zone%03d.example.", i), false)
	}
	add("ZPRIVATE", zone+".", true)
	add(ZoneID, zone+".", false)
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server
}

// writeXML answers a document of the API.
func (f *Fake) writeXML(w http.ResponseWriter, root, inner string) {
	w.Header().Set("Content-Type", "text/xml")
	if _, err := fmt.Fprintf(w, `<?xml version="1.0"?><%s xmlns="https://route53.amazonaws.com/doc/2013-04-01/">%s</%s>`, root, inner, root); err != nil {
		f.T.Error(err)
	}
}

// Fail answers an error of the API.
func (f *Fake) Fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code, message)
}

// ServeHTTP implements http.Handler.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	f.Requests++
	auth := r.Header.Get("Authorization")
	if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIA") || !strings.Contains(auth, "/us-east-1/route53/aws4_request") {
		f.T.Errorf("signed as %q", auth)
	}
	path, versioned := strings.CutPrefix(r.URL.Path, "/2013-04-01/")
	parts := strings.Split(path, "/")
	write := r.Method == http.MethodPost
	switch {
	case f.Throttle > 0:
		f.Throttle--
		if f.Throttle%2 == 0 {
			f.Fail(w, http.StatusBadRequest, "PriorRequestNotComplete", "The request was rejected because Route 53 was still processing a prior request.")
			return
		}
		f.Fail(w, http.StatusBadRequest, "Throttling", "Rate exceeded")
	case !strings.Contains(auth, GoodKey) && !strings.Contains(auth, ReadKey):
		f.Fail(w, http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	case write && strings.Contains(auth, ReadKey):
		f.Fail(w, http.StatusForbidden, "AccessDenied", "User: arn:aws:iam::1:user/u is not authorized to perform: route53:ChangeResourceRecordSets")
	case !versioned:
		f.T.Errorf("%s %s is not part of the API", r.Method, r.URL)
	case path == "hostedzone" && !write:
		f.listZones(w, r)
	case len(parts) == 2 && parts[0] == "change" && !write:
		status := types.ChangeStatusInsync
		if f.Pending > 0 {
			f.Pending--
			status = types.ChangeStatusPending
		}
		f.writeXML(w, "GetChangeResponse", f.changeInfo(parts[1], status))
	case len(parts) == 3 && parts[0] == "hostedzone" && strings.TrimSuffix(parts[2], "/") == "rrset":
		switch {
		case parts[1] != ZoneID:
			f.Fail(w, http.StatusNotFound, "NoSuchHostedZone", "No hosted zone found with ID: "+parts[1])
		case write:
			f.change(w, r)
		default:
			f.list(w, r)
		}
	default:
		f.T.Errorf("%s %s is not part of the API", r.Method, r.URL)
		f.Fail(w, http.StatusNotFound, "InvalidAction", "no such action")
	}
}

func (f *Fake) changeInfo(id string, status types.ChangeStatus) string {
	return fmt.Sprintf("<ChangeInfo><Id>/change/%s</Id><Status>%s</Status><SubmittedAt>%s</SubmittedAt></ChangeInfo>", id, status, time.Unix(0, 0).UTC().Format(time.RFC3339))
}

func (f *Fake) listZones(w http.ResponseWriter, r *http.Request) {
	from := 0
	if m := r.URL.Query().Get("marker"); m != "" {
		from = slices.IndexFunc(f.Zones, func(z types.HostedZone) bool { return strings.HasSuffix(*z.Id, "/"+m) })
	}
	to := min(len(f.Zones), from+100)
	var b strings.Builder
	out(&b, "HostedZones", reflect.ValueOf(f.Zones[from:to]))
	fmt.Fprintf(&b, "<Marker></Marker><MaxItems>100</MaxItems><IsTruncated>%t</IsTruncated>", to < len(f.Zones))
	if to < len(f.Zones) {
		fmt.Fprintf(&b, "<NextMarker>%s</NextMarker>", strings.TrimPrefix(*f.Zones[to].Id, "/hostedzone/"))
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

func (f *Fake) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from := 0
	if name := q.Get("name"); name != "" {
		start := types.ResourceRecordSet{Name: aws.String(inWords(name)), Type: types.RRType(q.Get("type")), SetIdentifier: aws.String(q.Get("identifier"))}
		from = len(f.Sets)
		for i, s := range f.Sets {
			if order(s, start) >= 0 {
				from = i
				break
			}
		}
	}
	to := min(len(f.Sets), from+100)
	var b strings.Builder
	out(&b, "ResourceRecordSets", reflect.ValueOf(f.Sets[from:to]))
	fmt.Fprintf(&b, "<MaxItems>100</MaxItems><IsTruncated>%t</IsTruncated>", to < len(f.Sets))
	if to < len(f.Sets) {
		next := f.Sets[to]
		fmt.Fprintf(&b, "<NextRecordName>%s</NextRecordName><NextRecordType>%s</NextRecordType>", *next.Name, next.Type)
		if next.SetIdentifier != nil {
			fmt.Fprintf(&b, "<NextRecordIdentifier>%s</NextRecordIdentifier>", *next.SetIdentifier)
		}
	}
	f.writeXML(w, "ListResourceRecordSetsResponse", b.String())
}

// change carries out a batch, all of it or nothing.
func (f *Fake) change(w http.ResponseWriter, r *http.Request) {
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
		f.T.Errorf("the request is not as the SDK's types have it: %v", err)
		f.Fail(w, http.StatusBadRequest, "InvalidInput", "Invalid XML")
		return
	}
	if f.FailAfter == 0 {
		f.FailAfter, f.Failing = 1<<30, f.Retries
	}
	if f.Failing > 0 {
		f.Failing--
		f.Fail(w, http.StatusServiceUnavailable, "ServiceUnavailable", "broken")
		return
	}
	f.FailAfter--
	f.Writes++
	now := slices.Clone(f.Sets)
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
	f.Sets = now
	if f.Lose {
		f.Lose = false
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

// Put writes as somebody at the console does.
func (f *Fake) Put(sets ...types.ResourceRecordSet) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	for _, one := range sets {
		one.Name = aws.String(inWords(*one.Name))
		for i, r := range one.ResourceRecords {
			// In words of their own: capitals, and a text in two strings.
			switch text := *r.Value; {
			case one.Type == types.RRTypeCname || one.Type == types.RRTypeMx:
				one.ResourceRecords[i].Value = aws.String(strings.ToUpper(text))
			case one.Type == types.RRTypeTxt && len(text) > 4 && !strings.Contains(text, `\`):
				one.ResourceRecords[i].Value = aws.String(text[:3] + `" "` + text[3:])
			}
		}
		f.Sets = append(f.Sets, one)
	}
	slices.SortFunc(f.Sets, order)
}
