package cloudflare

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/dnsproviders/cloudflare/cloudflaretest"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
)

// fake is the API with its records as sets.
type fake struct{ *cloudflaretest.Fake }

func newFake(t *testing.T) (fake, *httptest.Server) {
	f, server := cloudflaretest.New(t, zone.Name)
	return fake{f}, server
}

// put writes sets as they are typed in.
func (f fake) put(sets ...dnsplan.RRset) {
	for _, s := range sets {
		for _, v := range s.Values {
			r, err := newRecord(s, v)
			if err != nil {
				f.T.Fatal(err)
			}
			if r.Type == "TXT" && !strings.Contains(v, `\`) && len(v) < 200 { // from before Cloudflare asked for quotes
				r.Content = strings.Trim(v, `"`)
			}
			f.Put(as[cloudflaretest.Record](f.T, r))
		}
	}
}

func (f fake) sets() []dnsplan.RRset {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	var sets []dnsplan.RRset
	for _, g := range group(as[[]record](f.T, f.Records)) {
		sets = append(sets, g.set)
	}
	return sets
}

// as is the same JSON in another type.
func as[T any](t testing.TB, v any) (out T) {
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
