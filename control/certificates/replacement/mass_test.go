package replacement_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/replacement"
	"github.com/edgewright/edgewright/control/certificates/simtest"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
)

var replaced = flag.Int("replaced", 1000, "how many certificates TestMassReplacement replaces; the figure to be shown is 10000")

const restarts = 3

// perHour is the pace asked for, budget what the new CA takes in an hour; runs
// may take six tenths of it.
func (f *fleet) perHour() int { return f.n / 4 }
func (f *fleet) budget() int  { return f.n * 3 / 10 }

// kept is what a fleet's certificates are kept in.
type kept interface {
	resource.Store
	resource.Vault
}

var cause = resource.Cause{Actor: "user usr_test", Via: "test"}

// fleet is the certificates of a CA that is to be left, and the CA that
// follows.
type fleet struct {
	t          *testing.T
	n          int // certificates
	db         kept
	ledger     authority.Ledger // nil: one in memory, of which a restart leaves all
	svc        *provision.Service
	runs       *replacement.Service
	old, fresh *simtest.CA
	cas        *simtest.CAs
	serials    map[string]string // of the old ones, by certificate

	mu     sync.Mutex
	away   bool
	busy   bool            // the old CA takes no revocations
	failed map[string]bool // names that have failed once
}

func newFleet(t *testing.T, n int, db kept, ledger authority.Ledger) *fleet {
	f := &fleet{t: t, n: n, db: db, ledger: ledger, old: simtest.NewCA(t, "old", time.Now), fresh: simtest.NewCA(t, "fresh", time.Now), serials: map[string]string{}, failed: map[string]bool{}}
	f.cas = &simtest.CAs{List: []certificates.Authority{{Name: "old", Issuer: f.old}}}
	f.svc = provision.New(certificates.Room{Store: f.db, Vault: f.db, Ownership: simtest.Owner{}, Ledger: f.ledger})
	f.runs = replacement.New(replacement.Options{Store: f.db, Room: f.svc.PlannedPerHour})
	f.fresh.Refuse, f.old.RefuseRevocation = f.refuse, f.refuseRevocation
	f.fill()
	f.cas.List = []certificates.Authority{
		{Name: "fresh", Issuer: f.fresh, Limits: []authority.Limit{{Kind: authority.SpentOrders, Max: f.budget(), Window: time.Hour}}},
		{Name: "old", Issuer: f.old, Retired: true},
	}
	return f
}

// fill puts certificates of the old CA into the store as its reconciler would
// have, all with one key, which has leaked.
func (f *fleet) fill() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := range f.n {
		id, name := fmt.Sprintf("crt_%05d", i), fmt.Sprintf("www.shop-%d.example", i)
		chain, err := f.old.Issue(f.t.Context(), certificates.Order{ID: id, Names: []string{name}, Key: key})
		if err != nil {
			f.t.Fatal(err)
		}
		leaf := leafOf(f.t, chain)
		f.serials[id] = hex.EncodeToString(leaf.SerialNumber.Bytes())
		at, end, renew := leaf.NotBefore.UTC(), leaf.NotAfter.UTC(), leaf.NotBefore.Add(60*24*time.Hour).UTC()
		spec := must(f.t, certificates.Spec{Domains: []string{name}, Type: certificates.TypeACME, AutoRenew: true, KeyType: pki.KeyP256, PinKey: i%10 == 0})
		status := must(f.t, certificates.Status{
			State: certificates.StateValid, Generation: "1", Issued: 1, IssuedType: certificates.TypeACME, Issuer: "old", Authority: "old", IssuedAt: &at, NotBefore: &at, NotAfter: &end,
			Serial: f.serials[id], Names: []string{name}, KeyType: "p256", RenewAt: &renew, RenewBy: "lifetime", Observed: 1,
		})
		if _, err := f.db.Commit(f.t.Context(), resource.Commit{Cause: cause, Changes: []resource.Change{
			{Op: resource.Create, Kind: certificates.Kind, ID: id, Project: "alpha", Environment: "production", Name: name, Spec: spec, Status: status},
		}}); err != nil {
			f.t.Fatal(err)
		}
		if err := f.db.PutSecret(f.t.Context(), "certificate/"+id+"/1", must(f.t, pki.Bundle{ChainPEM: chain, KeyDER: der})); err != nil {
			f.t.Fatal(err)
		}
	}
}

// refuse makes the new CA be away for a while, and each fiftieth name fail once.
func (f *fleet) refuse(o certificates.Order) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return &certificates.IssueError{Away: true, Problem: certificates.Problem{Reason: "CAUnreachable", Message: "away", Fix: "wait"}}
	}
	if strings.HasSuffix(o.ID, "50") && !f.failed[o.ID] {
		f.failed[o.ID] = true
		return &certificates.IssueError{Invalid: true, Problem: certificates.Problem{Reason: "WrongAnswer", Message: "no", Fix: "mend it", Subject: o.Names[0]}}
	}
	return nil
}

func (f *fleet) refuseRevocation(string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy {
		return errors.New("the CA has no time")
	}
	return nil
}

func (f *fleet) setBusy(busy bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy = busy
}

func (f *fleet) setAway(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

// lead runs a control plane's loop until stop is called, as wired.
func (f *fleet) lead() (stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- reconcile.New(reconcile.Options{Store: f.db},
			upkeep.NewReconciler(f.svc.Room, f.svc.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: f.cas}, nil),
			replacement.NewReconciler(f.runs, nil),
		).Run(ctx)
	}()
	return func() { cancel(); <-ended }
}

func (f *fleet) commit(plan resource.Plan, err error) {
	f.t.Helper()
	if err == nil {
		_, err = f.db.Commit(f.t.Context(), plan.Commit(cause))
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// Certificates, ten thousand when asked, are replaced because their key has leaked: planned,
// at the pace of the run and within the CA's budget, through a pause, an outage
// of the CA, names that fail, refused revocations and three restarts. Each is
// replaced once, by a new key, and each old one is revoked at the CA that issued
// it.
func TestMassReplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { replaceAll(t, newFleet(t, *replaced, simtest.NewStore(), nil)) })
}

func replaceAll(t *testing.T, f *fleet) {
	stop := f.lead()
	time.Sleep(time.Hour)
	plan, planned, err := f.runs.Plan(t.Context(), replacement.Spec{Selector: replacement.Selector{Authority: "old"}, PerHour: f.perHour(), Revoke: "key_compromise"})
	if err != nil || planned.Total != f.n || time.Until(*planned.ExpectedAt).Round(time.Minute) != 333*time.Minute || len(plan.Warnings) != 3 {
		t.Fatalf("planned %+v, %q, %v", planned, plan.Warnings, err)
	}
	id := plan.Actions[0].ID
	f.commit(plan, nil)
	status := func() replacement.Status {
		t.Helper()
		run, err := f.runs.Run(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return run.Status
	}
	started := time.Now()
	tell := func(what string) replacement.Status {
		st := status()
		t.Logf("%6s %-22s done %5d, running %3d, failing %3d, revoking %3d (refused %3d), last hour %4d, expected in %v", time.Since(started), what, st.Done, st.Running, st.Failing, st.Revoking, st.Refused, st.LastHour, until(st.ExpectedAt))
		return st
	}
	time.Sleep(10 * time.Minute)
	if tell("planned"); len(f.fresh.Orders()) != 0 {
		t.Fatal("replaced before it was started")
	}

	f.commit(f.runs.PlanRun(t.Context(), id, replacement.Running))
	time.Sleep(time.Hour)
	if st := tell("an hour"); st.Done < f.perHour()/2 || st.Done > f.perHour() {
		t.Errorf("after an hour: %+v", st)
	}
	f.commit(f.runs.PlanRun(t.Context(), id, replacement.Paused))
	time.Sleep(40 * time.Minute) // what was under way comes to its end
	paused := tell("paused")
	time.Sleep(2 * time.Hour)
	if st := tell("still paused"); st.Done != paused.Done || st.Running != 0 || st.Revoking != 0 {
		t.Errorf("something went on while it was paused: %+v, before %+v", st, paused)
	}
	f.commit(f.runs.PlanRun(t.Context(), id, replacement.Running))
	time.Sleep(30 * time.Minute)
	for range restarts { // a restart loop does not hurry
		stop()
		stop = f.lead()
		time.Sleep(time.Second)
	}
	f.setAway(true)
	time.Sleep(time.Hour)
	if st := tell("the CA away for an hour"); st.Failing == 0 || st.Running > max(12*f.perHour()/60, 10) {
		t.Errorf("with the CA away: %+v", st)
	}
	f.setAway(false)
	f.setBusy(true)
	time.Sleep(2 * time.Hour) // what waits for the CA looks each 100 minutes
	if st := tell("revocations refused"); st.Refused == 0 {
		t.Errorf("with revocations refused: %+v", st)
	}
	f.setBusy(false)
	for hours := 0; status().State != replacement.Finished; hours++ {
		if hours == 12 {
			t.Fatalf("it does not end: %+v", status())
		}
		time.Sleep(time.Hour)
		tell("")
	}
	stop()
	f.check()
}

// check looks at what has become of every certificate.
func (f *fleet) check() {
	orders := f.fresh.Orders()
	most, revoked := simtest.Busiest(orders, time.Hour), f.old.Revoked()
	f.t.Logf("%d orders at the new CA, at most %d within an hour; %d revoked at the old one; %d failed once", len(orders), most, len(revoked), len(f.failed))
	// This CA keeps no orders that could be taken up: what a restart cuts off is
	// ordered again.
	if most := f.n + restarts*64; len(orders) < f.n || len(orders) > most {
		f.t.Errorf("%d orders for %d certificates", len(orders), f.n)
	}
	if limit := min(f.perHour()+f.perHour()/60, f.budget()*6/10); most > limit {
		f.t.Errorf("%d orders within an hour, at most %d were planned", most, limit)
	}
	if n := len(f.fresh.Revoked()); n != 0 {
		f.t.Errorf("%d were revoked at the wrong CA", n)
	}
	leaked := ""
	for id, serial := range f.serials {
		if reason, ok := revoked[serial]; !ok || reason != 1 {
			f.t.Fatalf("%s: the old one is revoked %v, for reason %d", id, ok, reason)
		}
		r, err := f.db.Get(f.t.Context(), certificates.Kind, id)
		if err != nil {
			f.t.Fatal(err)
		}
		c, err := certificates.Decode(r)
		if err != nil {
			f.t.Fatal(err)
		}
		if st := c.Status; st.Authority != "fresh" || st.Issued < 2 || st.Replacement != "" || len(st.Superseded) != 0 || st.State != certificates.StateValid {
			f.t.Fatalf("%s: %+v", id, st)
		}
		if c.Spec.PinKey {
			before, after := f.key(id, "1"), f.key(id, "2")
			if leaked = before; leaked == after {
				f.t.Fatalf("%s: the leaked key lives on", id)
			}
		}
	}
	if leaked == "" {
		f.t.Error("no certificate had its key pinned")
	}
}

func (f *fleet) key(id, generation string) string {
	b, err := f.svc.Bundle(f.t.Context(), id, generation)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b.KeyDER)
}

func until(at *time.Time) time.Duration {
	if at == nil {
		return 0
	}
	return time.Until(*at).Round(time.Minute)
}

func leafOf(t *testing.T, chain string) *x509.Certificate {
	block, _ := pem.Decode([]byte(chain))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func must(t *testing.T, v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
