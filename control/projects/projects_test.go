package projects_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/edgewright/edgewright/control/projects"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	ctx   = context.Background()
	cause = resource.Cause{Actor: "user usr_test", Via: "api"}
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func code(t testing.TB, err error, want fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != want {
		t.Fatalf("error %v, want the code %q", err, want)
	}
}

func newRoom(t *testing.T, db *store.DB) *projects.Service {
	t.Helper()
	s := projects.New(db, projects.Occupants{"domain", "cdn"})
	check(t, s.Bootstrap(ctx))
	return s
}

func TestBootstrapOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := projects.New(db, nil).Bootstrap(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s := projects.New(db, nil)
		list, next, err := s.List(ctx, "", 10)
		check(t, err)
		if len(list) != 1 || next != "" || list[0].ID != projects.Default || list[0].Name != projects.Default {
			t.Fatalf("%+v", list)
		}
		environments, err := s.Environments(ctx, projects.Default)
		check(t, err)
		if len(environments) != 2 || environments[0].Name != "production" || environments[1].Name != "staging" {
			t.Fatalf("%+v", environments)
		}
	})
}

func TestProjects(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newRoom(t, db)
		for _, bad := range []string{"", "-a", "a-", "a--b", "a b", "ä", "a.b", "*", "a/b", "x234567890123456789012345678901234567890x", "prj_01"} {
			_, err := s.Create(ctx, bad, projects.Spec{}, cause)
			code(t, err, fault.Invalid)
		}
		p, err := s.Create(ctx, " Shop ", projects.Spec{Title: "The shop"}, cause)
		check(t, err)
		if p.Name != "shop" || p.ID == "shop" {
			t.Fatalf("%+v", p)
		}
		_, err = s.Create(ctx, "shop", projects.Spec{}, cause)
		code(t, err, fault.Conflict)
		for _, name := range []string{"shop", "SHOP", p.ID} {
			got, err := s.Get(ctx, name)
			check(t, err)
			if got.ID != p.ID || got.Spec.Title != "The shop" {
				t.Fatalf("%+v", got)
			}
		}
		for _, none := range []string{"", "nothing", "\x00", "a b", "*"} {
			_, err := s.Get(ctx, none)
			code(t, err, fault.NotFound)
		}
		_, err = s.Update(ctx, p.ID, projects.Spec{Title: "x"}, p.Revision+1, cause)
		code(t, err, fault.Stale)
		_, err = s.Update(ctx, p.ID, projects.Spec{Title: "a\x01b"}, p.Revision, cause)
		code(t, err, fault.Invalid)
		changed, err := s.Update(ctx, p.ID, projects.Spec{Title: "Shop"}, p.Revision, cause)
		check(t, err)
		if changed.Spec.Title != "Shop" || changed.Revision == p.Revision {
			t.Fatalf("%+v", changed)
		}
		same, err := s.Update(ctx, p.ID, projects.Spec{Title: "Shop"}, changed.Revision, cause)
		check(t, err)
		if same.Revision != changed.Revision {
			t.Fatal("a change of nothing made a revision")
		}
	})
}

func TestOnlyTheEmptyIsDeleted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newRoom(t, db)
		p, err := s.Create(ctx, "shop", projects.Spec{}, cause)
		check(t, err)
		code(t, s.Delete(ctx, projects.Default, 0, cause), fault.Conflict)
		_, err = s.AddEnvironment(ctx, p.ID, "canary", projects.EnvironmentSpec{}, cause)
		check(t, err)
		_, err = s.AddEnvironment(ctx, p.ID, "Canary", projects.EnvironmentSpec{}, cause)
		code(t, err, fault.Conflict)
		_, err = s.AddEnvironment(ctx, p.ID, "*", projects.EnvironmentSpec{}, cause)
		code(t, err, fault.Invalid)

		done, err := db.Commit(ctx, resource.Commit{Cause: cause, Changes: []resource.Change{{
			Op: resource.Create, Kind: "domain", ID: resource.NewID("dom"), Project: p.ID, Environment: "canary", Name: "a.example.com", Spec: json.RawMessage(`{}`),
		}}})
		check(t, err)
		code(t, s.DeleteEnvironment(ctx, p.ID, "canary", 0, cause), fault.Conflict)
		code(t, s.Delete(ctx, p.ID, 0, cause), fault.Conflict)
		check(t, s.DeleteEnvironment(ctx, p.ID, "staging", 0, cause)) // another one does not matter
		_, err = db.Commit(ctx, resource.Commit{Cause: cause, Changes: []resource.Change{{Op: resource.Delete, Kind: "domain", ID: done.Resources[0].ID}}})
		check(t, err)
		canary, err := s.Environment(ctx, p.ID, "canary")
		check(t, err)
		code(t, s.DeleteEnvironment(ctx, p.ID, "canary", canary.Revision+1, cause), fault.Stale)
		check(t, s.DeleteEnvironment(ctx, p.ID, "canary", canary.Revision, cause))
		_, err = s.Environment(ctx, p.ID, "canary")
		code(t, err, fault.NotFound)
		code(t, s.DeleteEnvironment(ctx, p.ID, "production", 0, cause), fault.Conflict)
		code(t, s.Delete(ctx, p.ID, p.Revision+1, cause), fault.Stale)
		check(t, s.Delete(ctx, p.ID, p.Revision, cause))
		page, err := db.List(ctx, resource.Query{Project: p.ID})
		check(t, err)
		if len(page.Items) != 0 {
			t.Fatalf("a deleted project leaves %+v", page.Items)
		}
	})
}

func TestTypes(t *testing.T) {
	for _, typ := range []resource.Type{projects.Type(), projects.EnvironmentType()} {
		normal, err := typ.Normalize("x", json.RawMessage(`{"description":" text "}`))
		check(t, err)
		again, err := typ.Normalize("x", normal)
		check(t, err)
		if string(normal) != string(again) || string(normal) != `{"description":"text"}` {
			t.Errorf("%s: %s, %s", typ.Kind, normal, again)
		}
		for _, bad := range []string{`{"descripton":"x"}`, `{"description":7}`, `[]`, `{"description":"` + string(make([]byte, 2)) + `"}`} {
			_, err := typ.Normalize("x", json.RawMessage(bad))
			code(t, err, fault.Invalid)
		}
	}
}
