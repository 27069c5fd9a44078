package dnsproviders

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// keeper is a service with the reconciler that looks after it.
type keeper struct {
	*Service
	t     *testing.T
	types resource.Types
}

func newKeeper(t *testing.T) *keeper {
	s, _, _ := newService(t)
	return &keeper{s, t, resource.Types{}.With(s.Types()...)}
}

// look looks at what is there and at what may have left something.
func (k *keeper) look() {
	k.t.Helper()
	r := NewReconciler(k.Service)
	refs, err := r.Remains(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	list, _, err := k.List(k.t.Context(), "p", "e", 0, "")
	if err != nil {
		k.t.Fatal(err)
	}
	for _, p := range list {
		refs = append(refs, reconcile.Ref{Kind: Kind, ID: p.ID})
	}
	for _, ref := range refs {
		if _, err := r.Reconcile(k.t.Context(), ref); err != nil {
			k.t.Fatal(err)
		}
	}
}

func (k *keeper) commit(plan resource.Plan, err error) resource.Committed {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
	done, err := k.Store.Commit(k.t.Context(), plan.Commit(resource.Cause{Actor: "test"}))
	if err != nil {
		k.t.Fatal(err)
	}
	return done
}

func (k *keeper) get(name string) Provider {
	k.t.Helper()
	p, err := k.Get(k.t.Context(), "p", "e", name)
	if err != nil {
		k.t.Fatal(err)
	}
	return p
}

// without wants a provider to say that it has no credentials, and how it gets some.
func (k *keeper) without(p Provider) {
	k.t.Helper()
	c, ok := resource.ConditionOf(p.Status.Conditions, Ready)
	if !ok || c.Status != resource.False || c.Reason != string(NoCredentials) || !strings.Contains(c.Message, "`edgewright dns providers set "+p.Name+"`") || p.Status.Generation != p.Spec.Credentials {
		k.t.Errorf("without credentials: %+v", p)
	}
	if _, err := k.Zones(k.t.Context(), "p", "e", p.Name); ReasonOf(err) != NoCredentials || !fault.Is(err, fault.Invalid) {
		k.t.Errorf("used without credentials: %v", err)
	}
}

// Credentials go with their provider, whichever way it goes and whether or not
// anybody looked. When it comes back, it says that it has none.
func TestCredentialsGoWithTheProvider(t *testing.T) {
	for name, remove := range map[string]func(k *keeper, before int64) (resource.Plan, error){
		"by its own operation": func(k *keeper, _ int64) (resource.Plan, error) {
			return k.PlanDelete(t.Context(), "p", "e", "second", 0)
		},
		"by a declaration": func(k *keeper, _ int64) (resource.Plan, error) {
			return resource.PlanApply(t.Context(), k.Store, k.types, resource.Desired{
				Project: "p", Environment: "e", Prune: true, Resources: []resource.Declared{{Kind: Kind, Name: "main", Spec: json.RawMessage(`{"driver":"memory"}`)}},
			})
		},
		"by a rollback": func(k *keeper, before int64) (resource.Plan, error) {
			return resource.PlanRollback(t.Context(), k.Store, k.types, "p", "e", before)
		},
	} {
		t.Run(name, func(t *testing.T) {
			k, cause := newKeeper(t), resource.Cause{Actor: "test"}
			main := k.get("main")
			if _, err := k.Create(t.Context(), "p", "e", "second", "memory", Credentials{"token": "x"}, cause); err != nil {
				t.Fatal(err)
			}
			p, err := k.Replace(t.Context(), "p", "e", "second", Credentials{"token": "y"}, 0, cause)
			if err != nil {
				t.Fatal(err)
			}
			// What could not be deleted then, and what belongs to one that is about to
			// be committed.
			coming := secretName("dnsp_coming", 1)
			for _, name := range []string{secretName(p.ID, 1), coming} {
				if err := k.Vault.PutSecret(t.Context(), name, []byte("{}")); err != nil {
					t.Fatal(err)
				}
			}
			if k.look(); len(k.get("second").Status.Conditions) != 0 {
				t.Errorf("with credentials: %+v", k.get("second").Status)
			}
			gone := k.commit(remove(k, main.Revision))
			k.look()
			names, err := k.Vault.SecretNames(t.Context(), "dnsprovider/")
			if want := []string{coming, secretName(main.ID, 1)}; err != nil || len(names) != 2 || !slices.Contains(names, want[0]) || !slices.Contains(names, want[1]) {
				t.Errorf("in the vault: %v, want %v, %v", names, want, err)
			}

			k.commit(resource.PlanRevert(t.Context(), k.Store, k.types, gone.Revision))
			k.look()
			back := k.get("second")
			k.without(back)
			if k.look(); k.get("second").Seq != back.Seq {
				t.Error("what is known is written again")
			}
			if p, err = k.Replace(t.Context(), "p", "e", "second", Credentials{"token": "z"}, 0, cause); err != nil || p.Status.Generation == p.Spec.Credentials {
				t.Errorf("with others: %+v, %v", p, err)
			}
			k.look()
			if p, err = k.Test(t.Context(), "p", "e", "second"); err != nil || p.Status.Conditions[0].Reason != "Accepted" {
				t.Errorf("with others: %+v, %v", p.Status, err)
			}
		})
	}
}

// A provider that is only declared says the same, whatever generation it claims.
func TestDeclaredProvidersHaveNoCredentials(t *testing.T) {
	for _, spec := range []string{`{"driver":"memory"}`, `{"driver":"memory","credentials":1}`} {
		k := newKeeper(t)
		k.commit(resource.PlanApply(t.Context(), k.Store, k.types, resource.Desired{Project: "p", Environment: "e", Resources: []resource.Declared{{Kind: Kind, Name: "declared", Spec: json.RawMessage(spec)}}}))
		k.look()
		k.without(k.get("declared"))
	}
}
