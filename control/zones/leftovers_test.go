package zones_test

import (
	"context"
	"slices"
	"testing"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
)

type owners map[string]bool

func (o owners) Exists(_ context.Context, project, environment, domain string) (bool, error) {
	return o[project+"/"+environment+"/"+domain], nil
}

// What the platform has put into a zone for a domain goes with the domain, and
// nothing else does; also when the domain went while nobody looked.
func TestRecordsOfARemovedDomainGo(t *testing.T) {
	ctx := context.Background()
	proof := func(domain string) string { return "_edgewright-challenge." + domain }
	for name, restarted := range map[string]bool{"at once": false, "while nobody looked": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.ensure("p", "example.com")
			there := owners{"p/production/shop.example.com": true, "p/production/www.example.com": true}
			for _, domain := range []string{"shop.example.com", "www.example.com"} {
				ok(t, w.room.Provide(ctx, "p", "production", "example.com", domain, []zones.Provided{{Name: proof(domain), Type: "TXT", Value: `"token"`}}, cause))
			}
			w.set("example.com", "_edgewright-challenge.theirs", "TXT", `"token"`)
			w.set("example.com", "shop", "A", "192.0.2.1")
			l := zones.NewLeftovers(w.room, there, nil)
			from := int64(0)
			look := func() {
				t.Helper()
				mark := w.mark()
				if err := w.db.Watch(ctx, from, func(e resource.Event) error {
					if e.Resource.ID == mark {
						from = e.Seq
						return errSettled
					}
					if !slices.Contains(l.Kinds(), e.Resource.Kind) {
						return nil
					}
					for _, ref := range l.Route(e) {
						if next, err := l.Reconcile(ctx, ref); err != nil || next != 0 {
							t.Errorf("%v, again in %v", err, next)
						}
					}
					return nil
				}); err != errSettled {
					t.Fatal(err)
				}
			}
			look()
			sets := func() (names []string) {
				list, _, err := w.room.ListRRsets(ctx, "p", "production", "example.com", 100, "")
				ok(t, err)
				for _, set := range list {
					names = append(names, set.Name)
				}
				slices.Sort(names)
				return names
			}
			all := sets()
			if len(all) != 4 {
				t.Fatalf("with all domains there: %v", all)
			}
			delete(there, "p/production/shop.example.com")
			gone := resource.Event{Type: resource.Deleted, Resource: resource.Resource{Meta: resource.Meta{Kind: "domain", Project: "p", Environment: "production", Name: "shop.example.com"}}}
			if restarted {
				l, from = zones.NewLeftovers(w.room, there, nil), 0
				look()
			} else {
				other := gone
				other.Resource.Project = "q"
				if refs := l.Route(other); refs != nil {
					t.Errorf("another project's domain: %v", refs)
				}
				refs := l.Route(gone)
				if len(refs) != 1 {
					t.Fatalf("%v", refs)
				}
				for range 2 { // the second finds nothing to do
					_, err := l.Reconcile(ctx, refs[0])
					ok(t, err)
				}
			}
			look()
			want := slices.DeleteFunc(all, func(name string) bool {
				return name == zones.RRsetName("_edgewright-challenge.shop", "TXT", "example.com")
			})
			if got := sets(); !slices.Equal(got, want) || len(got) != 3 {
				t.Errorf("%v, want %v", got, want)
			}
			if refs := l.Route(gone); refs != nil {
				t.Errorf("remembered for ever: %v", refs)
			}
			_, err := l.Reconcile(ctx, reconcile.Ref{Kind: zones.KindRRset, ID: "rrs_none"})
			ok(t, err)
		})
	}
}
