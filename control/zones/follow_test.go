package zones_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/fault"
)

// A zone goes with its domain to another project: records, keys and name servers
// are the same there, and nobody has to go to the registrar.
func TestZoneFollowsItsDomain(t *testing.T) {
	w := newWorld(t)
	old := w.ensure("p", "example.com")
	w.set("example.com", "www", "A", "192.0.2.1")
	w.set("example.com", "@", "MX", "10 mail.example.net.")
	_, err := w.room.Configure(t.Context(), "p", "production", "example.com", json.RawMessage(`{"dnssec":{"enabled":true}}`), 0, cause)
	ok(t, err)
	w.settle()
	before := w.zone("example.com")
	if len(before.Status.Keys.Keys) == 0 {
		t.Fatal("the zone has no keys")
	}

	move := resource.Move{Domain: "example.com", From: resource.Place{Project: "p", Environment: "production"}, To: resource.Place{Project: "q", Environment: "staging"}}
	plan := resource.NewPlan("q", "staging")
	after, err := w.room.Follow(t.Context(), &plan, move)
	ok(t, err)
	for fresh, old := range after.Secrets { // as domains.Service.Accept does
		secret, err := w.db.Secret(t.Context(), old)
		ok(t, err)
		ok(t, w.db.PutSecret(t.Context(), fresh, secret))
	}
	commit := plan.Commit(cause)
	for i, ch := range commit.Changes {
		if ch.Op == resource.Create {
			commit.Changes[i].Status = after.Status[ch.ID]
		}
	}
	_, err = w.db.Commit(t.Context(), commit)
	ok(t, err)
	w.settle()

	z, err := w.room.Get(t.Context(), "q", "staging", "example.com")
	ok(t, err)
	if got := w.room.Successor("example.com"); got != z.ID {
		t.Errorf("the zone of the apex is %q, want %q: edges would be without it for a moment", got, z.ID)
	}
	if !slices.Equal(z.Status.NameServers, before.Status.NameServers) {
		t.Errorf("the name servers were %v, and are %v", before.Status.NameServers, z.Status.NameServers)
	}
	if z.Status.Keys.Keys[0].ID != before.Status.Keys.Keys[0].ID || !slices.Equal(z.Status.Keys.Keys[0].DS, before.Status.Keys.Keys[0].DS) {
		t.Errorf("the keys are others: %+v", z.Status.Keys.Keys)
	}
	if c, _ := resource.ConditionOf(z.Status.Conditions, zones.Served); c.Status != resource.True || int32(z.Status.Serial-before.Status.Serial) < 0 {
		t.Errorf("served: %+v, serial %d after %d", c, z.Status.Serial, before.Status.Serial)
	}
	sets, _, err := w.room.ListRRsets(t.Context(), "q", "staging", "example.com", 10, "")
	if err != nil || len(sets) != 2 {
		t.Errorf("%d sets came along, %v", len(sets), err)
	}
	if _, err := w.room.Get(t.Context(), "p", "production", "example.com"); !fault.Is(err, fault.NotFound) {
		t.Errorf("the zone is still there: %v", err)
	}
	if _, ok := w.room.Version(old.ID, before.Status.Serial); ok {
		t.Error("the old version is still made")
	}
	if _, ok := w.room.Version(z.ID, z.Status.Serial); !ok {
		t.Error("the new version is not made")
	}

	w.ensure("p", "shop.example.net")
	plan = resource.NewPlan("q", "staging")
	if _, err := w.room.Follow(t.Context(), &plan, resource.Move{Domain: "deep.shop.example.net", From: move.From, To: move.To}); err != nil || !plan.Empty() {
		t.Errorf("a zone above the domain goes too: %+v, %v", plan.Actions, err)
	}
}

type locks map[string]bool

func (l locks) CheckUnlocked(_ context.Context, _, _, name string) error {
	if l[name] {
		return fault.New(fault.Conflict, "locked")
	}
	return nil
}

func (l locks) CheckZoneUnlocked(_ context.Context, _, _, apex string) error {
	if l["zone "+apex] {
		return fault.New(fault.Conflict, "locked")
	}
	return nil
}

// Records of locked names stay as they are, whichever way they would change.
func TestLockedRecords(t *testing.T) {
	w := newWorld(t)
	w.ensure("p", "example.com")
	w.set("example.com", "www", "A", "192.0.2.1")
	w.set("example.com", "free", "A", "192.0.2.1")
	w.room.Locks = locks{"www.example.com": true, "zone example.com": true}
	change := func(name string) zones.Set {
		return zones.Set{Name: name, Type: "A", Spec: json.RawMessage(`{"values":["192.0.2.9"]}`)}
	}
	id := map[string]string{}
	sets, _, err := w.room.ListRRsets(t.Context(), "p", "production", "example.com", 10, "")
	ok(t, err)
	for _, s := range sets {
		id[s.Name] = s.ID
	}
	for what, test := range map[string]struct {
		do     func() error
		locked bool
	}{
		"change": {func() error {
			_, err := w.room.PlanSetRRset(t.Context(), "p", "production", "example.com", change("www"), false, 0)
			return err
		}, true},
		"change free": {func() error {
			_, err := w.room.PlanSetRRset(t.Context(), "p", "production", "example.com", change("free"), false, 0)
			return err
		}, false},
		"delete": {func() error {
			_, err := w.room.PlanDeleteRRset(t.Context(), "p", "production", "example.com", id["www/A@example.com"], 0)
			return err
		}, true},
		"delete free": {func() error {
			_, err := w.room.PlanDeleteRRset(t.Context(), "p", "production", "example.com", id["free/A@example.com"], 0)
			return err
		}, false},
		"edit": {func() error {
			_, err := w.room.PlanEdit(t.Context(), "p", "production", "example.com", zones.Edit{Sets: []zones.Set{change("free"), change("www")}})
			return err
		}, true},
		"replace": {func() error {
			_, err := w.room.PlanEdit(t.Context(), "p", "production", "example.com", zones.Edit{Sets: []zones.Set{change("free")}, Replace: true, Consent: true})
			return err
		}, true},
		"file": {func() error {
			_, _, err := w.room.PlanImport(t.Context(), "p", "production", "example.com", "www 60 IN A 192.0.2.9\n", false, false, true)
			return err
		}, true},
		"zone": {func() error {
			_, err := w.room.PlanRemove(t.Context(), "p", "production", "example.com", true)
			return err
		}, true},
		"new elsewhere": {func() error {
			_, err := w.room.PlanSetRRset(t.Context(), "p", "production", "example.com", change("new"), true, 0)
			return err
		}, false},
	} {
		if err := test.do(); fault.Is(err, fault.Conflict) != test.locked || err != nil && !test.locked {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The records that a locked site has by itself give way to nobody's.
func TestLockedSitesKeepTheirOwnRecords(t *testing.T) {
	w := newWorld(t)
	w.ensure("p", "example.com")
	w.claims["www.example.com"] = "p"
	w.room.Locks = locks{"www.example.com": true, "zone www.example.com": true, "zone example.com": true}
	for typ, value := range map[string]string{"A": "198.51.100.1", "AAAA": "2001:db8::1", "CNAME": "example.net.", "ALIAS": "example.net.", "HTTPS": "1 .", "NS": "ns.example.net."} {
		set := zones.Set{Name: "www", Type: typ, Spec: json.RawMessage(`{"values":["` + value + `"]}`)}
		if _, err := w.room.PlanSetRRset(t.Context(), "p", "production", "example.com", set, true, 0); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", typ, err)
		}
	}
	w.set("example.com", "www", "MX", "10 mail.example.net.") // takes nothing away
	move := resource.Move{Domain: "example.com", From: resource.Place{Project: "p", Environment: "production"}, To: resource.Place{Project: "q", Environment: "staging"}}
	plan := resource.NewPlan("q", "staging")
	if _, err := w.room.Follow(t.Context(), &plan, move); !fault.Is(err, fault.Conflict) {
		t.Errorf("the zone goes along with its domain, and the locked site's records with it: %v", err)
	}
}

type needs struct{ managed, verified []string }

func (n needs) CheckZoneUnneeded(context.Context, string, string, string, []resource.Action) error {
	return nil
}

func (n needs) DomainsIn(context.Context, string, string, string) (managed, verified []string, err error) {
	return n.managed, n.verified, nil
}

// A zone does not go from under other domains of its project that it makes records
// for, and says what would let it.
func TestZoneDoesNotLeaveOtherDomains(t *testing.T) {
	for name, test := range map[string]struct {
		needs
		prepare func(w *world)
		stays   string // named in the refusal; "": it goes
	}{
		"alone":                     {needs{managed: []string{"example.com"}}, nil, ""},
		"managed":                   {needs{managed: []string{"example.com", "shop.example.com"}}, nil, "shop.example.com"},
		"verified":                  {needs{verified: []string{"example.com", "*.shop.example.com"}}, nil, "*.shop.example.com"},
		"with records of their own": {needs{verified: []string{"example.com", "shop.example.com"}}, func(w *world) { w.set("example.com", "shop", "CNAME", "edge.example.net.") }, ""},
		"managed, with records":     {needs{managed: []string{"shop.example.com"}}, func(w *world) { w.set("example.com", "shop", "CNAME", "edge.example.net.") }, "shop.example.com"},
		"in a zone of its own":      {needs{verified: []string{"example.com", "shop.example.com"}}, func(w *world) { w.ensure("p", "shop.example.com") }, ""},
		"no sites in the zone":      {needs{verified: []string{"example.com", "shop.example.com"}}, func(w *world) { w.configure("example.com", `{"sites":false}`) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.ensure("p", "example.com")
			if test.prepare != nil {
				test.prepare(w)
			}
			w.room.Needs = test.needs
			from := resource.Place{Project: "p", Environment: "production"}
			plan := resource.NewPlan("q", "production")
			_, err := w.room.Follow(t.Context(), &plan, resource.Move{Domain: "example.com", From: from, To: resource.Place{Project: "q", Environment: "production"}})
			for what, err := range map[string]error{"offered": w.room.MayLeave(t.Context(), from, "example.com"), "taken": err} {
				switch {
				case test.stays == "":
					ok(t, err)
				case !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), test.stays+" would lose") || !strings.Contains(err.Error(), "domains set "+test.stays+" --dns manual"):
					t.Errorf("%s: %v", what, err)
				}
			}
			ok(t, w.room.MayLeave(t.Context(), from, "deep.example.com")) // its zone is above it, and stays
		})
	}
}
