package tsig

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

var cause = resource.Cause{Actor: "user usr_test", Via: "api"}

func room(t *testing.T) (*store.DB, *Service, *Reconciler) {
	t.Helper()
	db := storetest.SQLite(t)
	s := New(Options{Store: db, Vault: db})
	return db, s, NewReconciler(s)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *Reconciler) look(t *testing.T, id string) {
	t.Helper()
	_, err := r.Reconcile(t.Context(), reconcile.Ref{Kind: Kind, ID: id})
	ok(t, err)
}

// TestLife: a key's secret is made, taken out, replaced, and forgotten.
func TestLife(t *testing.T) {
	db, s, r := room(t)
	ctx := t.Context()
	for algorithm, size := range sizes {
		k, err := s.Create(ctx, "p", "production", Wish{Name: "Key." + algorithm + ".example.", Algorithm: algorithm}, cause)
		ok(t, err)
		r.look(t, k.ID)
		k, secret, err := s.Export(ctx, "p", "production", k.Name)
		ok(t, err)
		raw, err := base64.StdEncoding.DecodeString(secret)
		if err != nil || len(raw) != size || k.Status.Generation != 1 || k.Name != "key."+algorithm+".example" {
			t.Errorf("%s: %+v, %d bytes, %v", algorithm, k, len(raw), err)
		}
		if err := edgeconfig.CheckTSIGSecret(raw); err != nil {
			t.Error(err)
		}
	}
	name := "key.hmac-sha256.example"
	_, first, err := s.Export(ctx, "p", "production", name)
	ok(t, err)
	k, err := s.Replace(ctx, "p", "production", name, "", 0, cause)
	ok(t, err)
	r.look(t, k.ID)
	_, second, err := s.Export(ctx, "p", "production", name)
	ok(t, err)
	if first == second {
		t.Error("the secret stays")
	}
	if _, err := s.Secret(ctx, k.ID, 1); !fault.Is(err, fault.NotFound) {
		t.Errorf("the old secret is still there: %v", err)
	}
	given := base64.StdEncoding.EncodeToString([]byte("a secret of the other side"))
	_, err = s.Replace(ctx, "p", "production", name, given, k.Revision, cause)
	ok(t, err)
	if _, third, err := s.Export(ctx, "p", "production", name); err != nil || third != given {
		t.Errorf("%q, %v", third, err)
	}
	if _, err := s.Replace(ctx, "p", "production", name, "", k.Revision, cause); !fault.Is(err, fault.Stale) {
		t.Errorf("with an old revision: %v", err)
	}
	if _, err := s.Create(ctx, "p", "production", Wish{Name: name}, cause); !fault.Is(err, fault.Conflict) {
		t.Errorf("a name twice: %v", err)
	}
	if _, err := s.Get(ctx, "q", "production", name); !fault.Is(err, fault.NotFound) {
		t.Errorf("another project: %v", err)
	}
	ok(t, s.Delete(ctx, "p", "production", name, 0, cause))
	if _, err := db.Secret(ctx, secretName(k.ID, 3)); !fault.Is(err, fault.NotFound) {
		t.Errorf("the secret outlives its key: %v", err)
	}
}

// TestDeclared: a key that a plan makes gets its secret by itself, keeps it when
// it is declared again, and loses it with the key.
func TestDeclared(t *testing.T) {
	db, s, r := room(t)
	ctx := t.Context()
	types := resource.Types{Type()}
	apply := func(spec string, prune bool) {
		t.Helper()
		want := resource.Desired{Project: "p", Environment: "production", Prune: prune}
		if spec != "" {
			want.Resources = []resource.Declared{{Kind: Kind, Name: "Transfer.Example", Spec: []byte(spec)}}
		}
		plan, err := resource.PlanApply(ctx, db, types, want)
		ok(t, err)
		if !plan.Empty() {
			_, err = db.Commit(ctx, plan.Commit(cause))
			ok(t, err)
		}
	}
	apply(`{"algorithm":"hmac-sha384"}`, false)
	k, err := s.Get(ctx, "p", "production", "transfer.example")
	ok(t, err)
	if _, err := s.Key(ctx, "p", "production", "transfer.example"); !fault.Is(err, fault.NotFound) {
		t.Errorf("before the secret is made: %v", err)
	}
	if _, _, err := s.Export(ctx, "p", "production", "transfer.example"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("before the secret is made: %v", err)
	}
	r.look(t, k.ID)
	key, err := s.Key(ctx, "p", "production", "transfer.example")
	if err != nil || len(key.Secret) != 48 {
		t.Fatalf("%+v, %v", key, err)
	}
	_, err = s.Replace(ctx, "p", "production", "transfer.example", "", 0, cause)
	ok(t, err)
	r.look(t, k.ID)
	apply(`{"algorithm":"hmac-sha384","comment":"declared again"}`, false)
	if k, err = s.Get(ctx, "p", "production", "transfer.example"); err != nil || k.Spec.Generation != 2 || k.Spec.Comment == "" {
		t.Errorf("%+v, %v", k, err)
	}
	apply("", true)
	refs, err := r.Remains(ctx) // nobody has seen it go
	ok(t, err)
	for _, ref := range refs {
		r.look(t, ref.ID)
	}
	if _, err := db.Secret(ctx, secretName(k.ID, 2)); !fault.Is(err, fault.NotFound) {
		t.Errorf("the secret outlives its key: %v", err)
	}
}

func TestBadKeys(t *testing.T) {
	_, s, _ := room(t)
	for _, w := range []Wish{
		{Name: ""},
		{Name: "a b"},
		{Name: strings.Repeat("a", 64) + ".example"},
		{Name: `x"y.example`},
		{Name: "."},
		{Name: "k.example", Algorithm: "hmac-md5"},
		{Name: "k.example", Secret: "no base64!"},
		{Name: "k.example", Secret: "c2hvcnQ="},
		{Name: "k.example", Secret: base64.StdEncoding.EncodeToString(make([]byte, 129))},
		{Name: "k.example", Comment: strings.Repeat("x", 501)},
	} {
		if _, err := s.Create(t.Context(), "p", "production", w, cause); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", w, err)
		} else if w.Secret != "" && strings.Contains(err.Error(), w.Secret) {
			t.Errorf("the secret is repeated: %v", err)
		}
	}
}
