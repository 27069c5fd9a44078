package client_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/control/api"
)

// The client may not import the server, so its types are written twice. This
// test walks both and reports every name or shape that differs.
func TestTypesAreTheServers(t *testing.T) {
	pairs := []struct{ server, client any }{
		{api.Domain{}, client.Domain{}},
		{api.DomainAdded{}, client.AddedDomain{}},
		{api.AddDomain{}, client.AddDomain{}},
		{api.DomainPatch{}, client.DomainPatch{}},
		{api.Verified{}, client.VerifyResult{}},
		{api.DomainSetup{}, client.DomainSetup{}},
		{api.RegistryState{}, client.RegistryState{}},
		{api.DomainWatch{}, client.DomainWatch{}},
		{api.DomainEvent{}, client.DomainEvent{}},
		{api.DomainPropagation{}, client.DomainPropagation{}},
		{api.DomainLock{}, client.DomainLock{}},
		{api.TransferOffer{}, client.TransferOffer{}},
		{api.OfferTransfer{}, client.OfferTransfer{}},
		{api.AcceptTransfer{}, client.AcceptTransfer{}},
		{api.Certificate{}, client.Certificate{}},
		{api.ScoreAnswer{}, client.ScoreAnswer{}},
		{api.Provision{}, client.Provision{}},
		{api.CertificateDetail{}, client.CertificateDetail{}},
		{api.CertificatePatch{}, client.CertificatePatch{}},
		{api.ExportedCertificate{}, client.ExportedCertificate{}},
		{api.Readiness{}, client.Readiness{}},
		{api.NewCSR{}, client.NewCSR{}},
		{api.CSR{}, client.CSR{}},
		{api.Authority{}, client.Authority{}},
		{api.NewAuthority{}, client.NewAuthority{}},
		{api.NewReplacement{}, client.NewReplacement{}},
		{api.Replacement{}, client.Replacement{}},
		{api.Provisioned{}, client.Provisioned{}},
		{api.Operation{}, client.Operation{}},
		{api.CDN{}, client.CDN{}},
		{api.ConfigureCDN{}, client.ConfigureCDN{}},
		{api.NewPurge{}, client.PurgeRequest{}},
		{api.Purge{}, client.Purge{}},
		{api.Edge{}, client.Edge{}},
		{api.JoinToken{}, client.JoinToken{}},
		{api.Desired{}, client.Desired{}},
		{api.Plan{}, client.Plan{}},
		{api.Applied{}, client.Applied{}},
		{api.Export{}, client.Export{}},
		{api.Revision{}, client.Revision{}},
		{api.Undone{}, client.Undone{}},
		{api.Session{}, client.Session{}},
		{api.Token{}, client.Token{}},
		{api.NewToken{}, client.CreateToken{}},
		{api.CreatedToken{}, client.NewToken{}},
		{api.AuditRecord{}, client.AuditRecord{}},
		{api.Traffic{}, client.Traffic{}},
		{api.DNSQueries{}, client.DNSQueries{}},
		{api.Project{}, client.Project{}},
		{api.NewProject{}, client.NewProject{}},
		{api.ProjectPatch{}, client.ProjectPatch{}},
		{api.Environment{}, client.Environment{}},
		{api.NewEnvironment{}, client.NewEnvironment{}},
		{api.Member{}, client.Member{}},
		{api.Invite{}, client.Invite{}},
		{api.Invited{}, client.Invited{}},
		{api.ChangeEvent{}, client.ChangeEvent{}},
		{api.RolloutEvent{}, client.RolloutEvent{}},
		{api.LiveEvent{}, client.LiveEvent{}},
		{api.EdgeEvent{}, client.EdgeEvent{}},
		{api.PurgeEvent{}, client.PurgeEvent{}},
		{api.OperationEvent{}, client.OperationEvent{}},
		{api.DNSProvider{}, client.DNSProvider{}},
		{api.NewDNSProvider{}, client.NewDNSProvider{}},
		{api.DNSZone{}, client.DNSZone{}},
		{api.DNSDriver{}, client.DNSDriver{}},
	}
	for _, p := range pairs {
		s, c := reflect.TypeOf(p.server), reflect.TypeOf(p.client)
		want, got := map[string]string{}, map[string]string{}
		shape(s, "", want, nil)
		shape(c, "", got, nil)
		for _, name := range names(want, got) {
			// Project and environment are named in the query.
			if top := name; (top == "/project_id" || top == "/environment") && got[name] == "" {
				continue
			}
			if want[name] != got[name] {
				t.Errorf("%s and %s differ at %s: %q and %q", s, c, name, want[name], got[name])
			}
		}
	}
}

func names(a, b map[string]string) []string {
	var list []string
	for k := range a {
		list = append(list, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			list = append(list, k)
		}
	}
	sort.Strings(list)
	return list
}

// shape notes, for every JSON name below t, what sort of value it has.
func shape(t reflect.Type, at string, out map[string]string, seen []reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		out[at] = "time"
		return
	case t == reflect.TypeFor[json.RawMessage]():
		out[at] = "any"
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		for _, s := range seen {
			if s == t {
				return
			}
		}
		seen = append(seen, t)
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous && name == "":
				shape(f.Type, at, out, seen)
			case f.IsExported() && name != "-":
				shape(f.Type, at+"/"+name, out, seen)
			}
		}
	case reflect.Slice:
		shape(t.Elem(), at+"[]", out, seen)
	case reflect.Map:
		shape(t.Elem(), at+"{}", out, seen)
	case reflect.Int, reflect.Int64, reflect.Int32:
		out[at] = "integer"
	default:
		out[at] = fmt.Sprint(t.Kind())
	}
}
