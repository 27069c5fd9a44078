// Package simtest is a world for simulations of certificates, which are about
// times and numbers and not about disks: a store and vault in memory, and a CA
// that signs at once, counts, and has the troubles that it is told to have. All
// of it may live in a testing/synctest bubble.
package simtest

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Store is a resource.Store and resource.Vault in memory. It keeps no history.
type Store struct {
	resource.Store // nil: what a simulation does not use

	mu       sync.Mutex
	seq      int64
	objects  map[string]resource.Resource
	ids      map[resource.Kind][]string // in order
	secrets  map[string][]byte
	log      []written // in order of Seq
	dropped  int       // how much of log is gone
	changed  chan struct{}
	watchers map[*int]bool // where in the log each is

	// Gets, Puts and Secrets count what was asked of it.
	Gets, Puts, Secrets int
}

type written struct {
	seq int64
	id  string
	typ resource.EventType
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{
		objects: map[string]resource.Resource{}, ids: map[resource.Kind][]string{}, secrets: map[string][]byte{},
		changed: make(chan struct{}), watchers: map[*int]bool{},
	}
}

func (s *Store) write(r resource.Resource, typ resource.EventType) resource.Resource {
	s.seq++
	r.Seq = s.seq
	s.objects[r.ID] = r
	s.log = append(s.log, written{s.seq, r.ID, typ})
	if len(s.log) > 1<<16 {
		least := s.dropped + len(s.log)
		for at := range s.watchers {
			least = min(least, *at)
		}
		s.log, s.dropped = slices.Clone(s.log[least-s.dropped:]), least
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return r
}

// Get implements resource.Store.
func (s *Store) Get(_ context.Context, kind resource.Kind, id string) (resource.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Gets++
	r, ok := s.objects[id]
	if !ok || r.Kind != kind {
		return resource.Resource{}, fault.New(fault.NotFound, "there is no %s %s", kind, id)
	}
	return r, nil
}

// List implements resource.Store.
func (s *Store) List(_ context.Context, q resource.Query) (resource.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.ids[q.Kind]
	from, found := slices.BinarySearch(ids, q.Cursor)
	if found {
		from++
	}
	limit := q.Limit
	if limit == 0 {
		limit = 100
	}
	var page resource.Page
	for _, id := range ids[from:] {
		r := s.objects[id]
		if q.Project != "" && r.Project != q.Project || q.Environment != "" && r.Environment != q.Environment || q.Name != "" && r.Name != q.Name || q.PlatformOnly && r.Project != "" {
			continue
		}
		if len(page.Items) == limit {
			page.Next = page.Items[limit-1].ID
			break
		}
		page.Items = append(page.Items, r)
	}
	return page, nil
}

// Commit implements resource.Store for creations and updates.
func (s *Store) Commit(_ context.Context, c resource.Commit) (resource.Committed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out resource.Committed
	for _, change := range c.Changes {
		r := s.objects[change.ID]
		switch change.Op {
		case resource.Create:
			r = resource.Resource{Meta: resource.Meta{Kind: change.Kind, ID: change.ID, Project: change.Project, Environment: change.Environment, Name: change.Name}, Status: change.Status}
			at, _ := slices.BinarySearch(s.ids[change.Kind], change.ID)
			s.ids[change.Kind] = slices.Insert(s.ids[change.Kind], at, change.ID)
		case resource.Update:
			if change.IfRevision != 0 && change.IfRevision != r.Revision {
				return out, fault.New(fault.Stale, "it was written since it was read")
			}
		default:
			return out, fault.New(fault.Internal, "simulations only create and update")
		}
		r.Spec, r.Revision = change.Spec, s.seq+1
		out.Resources = append(out.Resources, s.write(r, resource.Put))
		out.Revision = s.seq
	}
	return out, nil
}

// PutStatus implements resource.Store.
func (s *Store) PutStatus(ctx context.Context, kind resource.Kind, id string, status json.RawMessage, ifSeq int64) (resource.Resource, error) {
	return s.ChangeStatus(ctx, kind, id, func(r resource.Resource) (json.RawMessage, error) {
		if ifSeq != 0 && r.Seq != ifSeq {
			return nil, fault.New(fault.Stale, "it was written since it was read")
		}
		return status, nil
	})
}

// ChangeStatus implements resource.Store.
func (s *Store) ChangeStatus(_ context.Context, kind resource.Kind, id string, change func(resource.Resource) (json.RawMessage, error)) (resource.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.objects[id]
	if !ok || r.Kind != kind {
		return r, fault.New(fault.NotFound, "there is no %s %s", kind, id)
	}
	status, err := change(r)
	if err != nil || status == nil || bytes.Equal(r.Status, status) {
		return r, err
	}
	s.Puts++
	r.Status = status
	return s.write(r, resource.Status), nil
}

// Watch implements resource.Store.
func (s *Store) Watch(ctx context.Context, since int64, fn func(resource.Event) error) error {
	s.mu.Lock()
	at := s.dropped + len(s.log)
	s.watchers[&at] = true
	var first []resource.Event
	for _, r := range s.objects {
		if r.Seq > since {
			first = append(first, resource.Event{Seq: r.Seq, Type: resource.Put, Resource: r})
		}
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.watchers, &at)
		s.mu.Unlock()
	}()
	slices.SortFunc(first, func(a, b resource.Event) int { return int(a.Seq - b.Seq) })
	for {
		for _, e := range first {
			if err := fn(e); err != nil {
				return err
			}
		}
		first = nil
		s.mu.Lock()
		for _, w := range s.log[at-s.dropped:] {
			if r := s.objects[w.id]; r.Seq == w.seq {
				first = append(first, resource.Event{Seq: w.seq, Type: w.typ, Resource: r})
			}
		}
		at = s.dropped + len(s.log)
		changed := s.changed
		s.mu.Unlock()
		if len(first) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// PutSecret implements resource.Vault.
func (s *Store) PutSecret(_ context.Context, name string, secret []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[name] = secret
	return nil
}

// Secret implements resource.Vault.
func (s *Store) Secret(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Secrets++
	secret, ok := s.secrets[name]
	if !ok {
		return nil, fault.New(fault.NotFound, "there is no such secret")
	}
	return secret, nil
}

// DeleteSecret implements resource.Vault.
func (s *Store) DeleteSecret(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.secrets, name)
	return nil
}

// SecretNames lists the secrets whose names begin so.
func (s *Store) SecretNames(prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for name := range s.secrets {
		if strings.HasPrefix(name, prefix) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// Owner has verified every name for every project.
type Owner struct{}

// Verified implements certificates.Ownership.
func (Owner) Verified(context.Context, string, string, string) (bool, error) { return true, nil }

// Clock is a clock that is set.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at a time.
func NewClock(at time.Time) *Clock { return &Clock{now: at} }

// Now reads it.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Pass moves it on.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
