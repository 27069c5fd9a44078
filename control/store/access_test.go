package store_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

var (
	accessStart = time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)
	accessBy    = access.Audit{Actor: "user usr_test", Action: "test", Target: "test"}
)

func accessCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error %v has the code %q, want %q", err, fault.CodeOf(err), code)
	}
}

func accessOK(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func accessRecords(t *testing.T, db *store.DB) int {
	t.Helper()
	state, err := db.VerifyAudit(context.Background())
	accessOK(t, err)
	return int(state.Entries)
}

func accessUser(t *testing.T, db *store.DB, id, email string, grants ...access.Grant) access.User {
	t.Helper()
	u := access.User{ID: id, Email: email, Name: id, Revision: 1, CreatedAt: accessStart, UpdatedAt: accessStart}
	accessOK(t, db.CreateUser(context.Background(), u, grants, accessBy))
	return u
}

func TestAccessUsers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		u := accessUser(t, db, "usr_a", "a@example.com", access.Grant{User: "usr_a", Project: access.Platform, Role: access.Owner, Revision: 1, CreatedAt: accessStart, UpdatedAt: accessStart})
		got, hash, err := db.UserByEmail(ctx, "a@example.com")
		accessOK(t, err)
		if d := cmp.Diff(u, got); d != "" || hash != "" {
			t.Fatalf("the stored user differs: %s, hash %q", d, hash)
		}
		err = db.CreateUser(ctx, access.User{ID: "usr_b", Email: "a@example.com"}, nil, accessBy)
		accessCode(t, err, fault.Conflict)
		if n, err := db.CountUsers(ctx); n != 1 || err != nil {
			t.Fatalf("%d users, %v", n, err)
		}

		accessUser(t, db, "usr_b", "b@example.com")
		for _, hash := range []string{"1", "2"} {
			accessOK(t, db.CreateSession(ctx, access.Session{Hash: []byte(hash), User: "usr_a", CreatedAt: accessStart, ExpiresAt: accessStart.Add(time.Hour), LastSeenAt: accessStart}, accessBy))
		}
		before := accessRecords(t, db)
		password := "phc"
		u.Name = "New"
		changed, err := db.UpdateUser(ctx, u, 1, &password, []byte("1"), accessBy)
		accessOK(t, err)
		if changed.Revision != 2 || !changed.HasPassword || changed.LastLoginAt != accessStart {
			t.Fatalf("changed user: %+v", changed)
		}
		if accessRecords(t, db) != before+1 {
			t.Fatal("the change left no audit record")
		}
		_, err = db.Session(ctx, []byte("2"))
		accessCode(t, err, fault.NotFound)
		_, err = db.Session(ctx, []byte("1"))
		accessOK(t, err)
		_, err = db.UpdateUser(ctx, u, 1, nil, nil, accessBy)
		accessCode(t, err, fault.Stale)
		u.Email = "b@example.com"
		_, err = db.UpdateUser(ctx, u, 2, nil, nil, accessBy)
		accessCode(t, err, fault.Conflict)
		if hash, err := db.PasswordHash(ctx, "usr_a"); hash != "phc" || err != nil {
			t.Fatalf("password hash %q, %v", hash, err)
		}
	})
}

func TestAccessGrants(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		owner := access.Grant{User: "usr_a", Project: access.Platform, Role: access.Owner, Revision: 1, CreatedAt: accessStart, UpdatedAt: accessStart}
		accessUser(t, db, "usr_a", "a@example.com", owner)
		owner.Role = access.Viewer
		_, err := db.PutGrant(ctx, owner, 1, accessBy)
		accessCode(t, err, fault.Conflict)
		accessCode(t, db.DeleteGrant(ctx, "usr_a", access.Platform, 1, accessBy), fault.Conflict)
		if list, err := db.Grants(ctx, "usr_a", ""); err != nil || len(list) != 1 || list[0].Role != access.Owner {
			t.Fatalf("the last owner's grant is %v, %v", list, err)
		}

		g := access.Grant{User: "usr_a", Project: "prj_1", Role: access.Developer, Revision: 1, CreatedAt: accessStart, UpdatedAt: accessStart}
		_, err = db.PutGrant(ctx, g, 7, accessBy)
		accessCode(t, err, fault.NotFound)
		_, err = db.PutGrant(ctx, g, 0, accessBy)
		accessOK(t, err)
		g.Role = access.Admin
		g, err = db.PutGrant(ctx, g, 1, accessBy)
		accessOK(t, err)
		if g.Revision != 2 {
			t.Fatalf("revision %d after a change", g.Revision)
		}
		accessCode(t, db.DeleteGrant(ctx, "usr_a", "prj_1", 1, accessBy), fault.Stale)

		token := access.Token{ID: "tok_1", Hash: []byte("t"), Name: "t", User: "usr_a", Project: "prj_1", Role: access.Admin, Revision: 1, CreatedAt: accessStart}
		accessOK(t, db.CreateToken(ctx, token, accessBy))
		accessOK(t, db.DeleteGrant(ctx, "usr_a", "prj_1", 2, accessBy))
		if token, err = db.Token(ctx, "tok_1"); err != nil || token.RevokedAt.IsZero() {
			t.Fatalf("the token of a member who left is in force: %+v, %v", token, err)
		}
		accessCode(t, db.DeleteGrant(ctx, "usr_a", "prj_1", 0, accessBy), fault.NotFound)
	})
}

func TestAccessTokens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		token := access.Token{
			ID: "tok_1", Hash: []byte("one"), Hint: "last", Name: "ci", User: "usr_a", Project: "prj_1", Role: access.Developer, Revision: 1,
			Scopes: []access.Scope{{Resource: access.Domains, Verb: access.Write}, {Resource: "*", Verb: access.Read}}, CreatedAt: accessStart,
		}
		accessOK(t, db.CreateToken(ctx, token, accessBy))
		got, err := db.TokenByHash(ctx, []byte("one"))
		accessOK(t, err)
		if d := cmp.Diff(token, got); d != "" {
			t.Fatal(d)
		}
		other := token
		other.ID = "tok_2"
		accessCode(t, db.CreateToken(ctx, other, accessBy), fault.Conflict)
		other.Hash, other.User = []byte("two"), "usr_b"
		accessOK(t, db.CreateToken(ctx, other, accessBy))
		expired := token
		expired.ID, expired.Hash, expired.ExpiresAt = "tok_3", []byte("three"), time.Now().Add(-time.Minute)
		accessOK(t, db.CreateToken(ctx, expired, accessBy))

		ids := func(project, user, cursor string, limit int) (ids string) {
			t.Helper()
			list, err := db.Tokens(ctx, project, user, cursor, limit)
			accessOK(t, err)
			for _, token := range list {
				ids += token.ID + " "
			}
			return ids
		}
		if got := ids("prj_1", "", "", 10); got != "tok_1 tok_2 " {
			t.Fatalf("listed %q", got)
		}
		if got := ids("prj_1", "usr_b", "", 10) + ids("prj_2", "", "", 10) + ids("prj_1", "", "tok_1", 10) + ids("", "", "", 1); got != "tok_2 tok_2 tok_1 " {
			t.Fatalf("filtered %q", got)
		}
		accessOK(t, db.TouchToken(ctx, "tok_1", accessStart.Add(time.Hour)))
		accessCode(t, db.RevokeToken(ctx, "tok_1", 9, accessStart, accessBy), fault.Stale)
		accessOK(t, db.RevokeToken(ctx, "tok_1", 1, accessStart, accessBy))
		accessCode(t, db.RevokeToken(ctx, "tok_1", 0, accessStart, accessBy), fault.NotFound)
		got, err = db.Token(ctx, "tok_1")
		if err != nil || !got.LastUsedAt.Equal(accessStart.Add(time.Hour)) || got.RevokedAt.IsZero() {
			t.Fatalf("%+v, %v", got, err)
		}
		accessOK(t, db.DeleteExpired(ctx, accessStart.Add(91*24*time.Hour)))
		_, err = db.Token(ctx, "tok_1")
		accessCode(t, err, fault.NotFound)
		_, err = db.Token(ctx, "tok_2")
		accessOK(t, err)
	})
}

func TestAccessLinks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		link := access.Link{
			ID: "inv_1", Hash: []byte("link"), Purpose: access.PurposeInvite, Email: "c@example.com", Name: "C", Project: "prj_1",
			Role: access.Viewer, Revision: 1, CreatedBy: "user usr_a", CreatedAt: accessStart, ExpiresAt: accessStart.Add(time.Hour),
		}
		accessOK(t, db.CreateLink(ctx, link, accessBy))
		got, err := db.Link(ctx, []byte("link"), accessStart)
		accessOK(t, err)
		if d := cmp.Diff(link, got); d != "" {
			t.Fatal(d)
		}
		_, err = db.Link(ctx, []byte("link"), accessStart.Add(time.Hour))
		accessCode(t, err, fault.NotFound)
		if list, err := db.Invitations(ctx, "prj_1", accessStart); err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		accessCode(t, db.DeleteLink(ctx, "inv_1", 2, accessBy), fault.Stale)

		u := access.User{ID: "usr_c", Email: "c@example.com", Name: "C", Revision: 1, CreatedAt: accessStart, UpdatedAt: accessStart}
		g := access.Grant{User: "usr_c", Project: "prj_1", Role: access.Viewer, Revision: 1, CreatedAt: accessStart, UpdatedAt: accessStart}
		// Two at the same moment: one gets in, and leaves one account and one role.
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- db.UseLink(ctx, []byte("link"), accessStart, &u, &g, accessBy) }()
		}
		first, second := <-results, <-results
		if (first == nil) == (second == nil) {
			t.Fatalf("a one-time link was spent by %v and %v", first, second)
		}
		if list, err := db.Grants(ctx, "", "prj_1"); err != nil || len(list) != 1 || list[0].User != "usr_c" {
			t.Fatalf("%v, %v", list, err)
		}

		link.ID, link.Hash = "inv_2", []byte("other")
		accessOK(t, db.CreateLink(ctx, link, accessBy))
		accessOK(t, db.CreateToken(ctx, access.Token{ID: "tok_1", Hash: []byte("t"), Name: "t", Project: "prj_1", Role: access.Admin, Revision: 1, CreatedAt: accessStart}, accessBy))
		accessOK(t, db.DeleteProject(ctx, "prj_1", accessStart, accessBy))
		grants, err := db.Grants(ctx, "", "prj_1")
		accessOK(t, err)
		links, err := db.Invitations(ctx, "prj_1", accessStart)
		accessOK(t, err)
		token, err := db.Token(ctx, "tok_1")
		accessOK(t, err)
		if len(grants)+len(links) != 0 || token.RevokedAt.IsZero() {
			t.Fatalf("a deleted project leaves %v, %v, %+v", grants, links, token)
		}
	})
}

func TestReplays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		now := time.Now()
		begin := func(holder, hash string) (store.Replay, bool) {
			t.Helper()
			r, claimed, err := db.BeginReplay(ctx, "tok_1", "key", holder, []byte(hash), now.Add(-time.Minute), now.Add(time.Hour))
			accessOK(t, err)
			return r, claimed
		}
		if _, claimed := begin("one", "h"); !claimed {
			t.Fatal("a new key was not claimed")
		}
		if r, claimed := begin("two", "h"); claimed || r.Status != 0 {
			t.Fatalf("a key in use was claimed: %+v", r)
		}
		accessOK(t, db.DropReplay(ctx, "tok_1", "key", "two")) // not the holder: nothing
		if _, claimed := begin("two", "h"); claimed {
			t.Fatal("another holder dropped a claim")
		}
		answer := store.Replay{Status: 201, Header: map[string]string{"Content-Type": "application/json"}, Body: []byte(`{"token":"ew_plain"}`)}
		accessOK(t, db.FinishReplay(ctx, "tok_1", "key", "two", store.Replay{Status: 500})) // not the holder: nothing
		accessOK(t, db.FinishReplay(ctx, "tok_1", "key", "one", answer))
		r, claimed := begin("three", "other")
		if claimed || r.Status != 201 || !bytes.Equal(r.Body, answer.Body) || !bytes.Equal(r.Hash, []byte("h")) || r.Header["Content-Type"] != "application/json" {
			t.Fatalf("replay %+v, claimed %v", r, claimed)
		}
		var dump bytes.Buffer
		accessOK(t, db.Backup(ctx, &dump))
		if bytes.Contains(dump.Bytes(), []byte("ew_plain")) {
			t.Fatal("the answer's body is in plain text at rest")
		}
		accessOK(t, db.DeleteOldReplays(ctx, now.Add(2*time.Hour)))
		if _, claimed := begin("four", "h"); !claimed {
			t.Fatal("an expired key is still in use")
		}
		// A holder that died is replaced.
		if _, claimed, err := db.BeginReplay(ctx, "tok_1", "key", "five", []byte("h"), now.Add(time.Hour), now.Add(time.Hour)); err != nil || !claimed {
			t.Fatalf("an abandoned claim was not taken over: %v", err)
		}
		if _, claimed, err := db.BeginReplay(ctx, "tok_2", "key", "six", []byte("h"), now, now.Add(time.Hour)); err != nil || !claimed {
			t.Fatalf("another principal's key collides: %v", err)
		}
	})
}

func TestOperations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		o := store.Operation{
			ID: "op_1", Kind: "certificate.issue", Project: "default", Environment: "production", TargetKind: "certificate", TargetID: "crt_1",
			Detail: []byte(`{"request":1}`), CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
		}
		accessOK(t, db.PutOperation(ctx, o))
		got, err := db.Operation(ctx, "op_1")
		accessOK(t, err)
		if d := cmp.Diff(o, got); d != "" {
			t.Fatal(d)
		}
		o.ID = "op_2"
		accessOK(t, db.PutOperation(ctx, o))
		if last, err := db.LastOperation(ctx, "crt_1"); err != nil || last.ID != "op_2" {
			t.Fatalf("%+v, %v", last, err)
		}
		_, err = db.Operation(ctx, "op_3")
		accessCode(t, err, fault.NotFound)
	})
}
