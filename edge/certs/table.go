package certs

import (
	"crypto/tls"
	"slices"
	"time"

	"github.com/edgewright/edgewright/edge/request/hosts"
)

// Table finds the certificate of a server name. It is immutable; nil is empty.
type Table struct {
	names *hosts.Table[[]*Entry] // cheapest kind of key first, then longest lived first
}

// Len returns the number of names.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return t.names.Len()
}

// Edit begins a new table from this one.
func (t *Table) Edit() *Editor {
	if t == nil {
		t = &Table{}
	}
	return &Editor{names: t.names.Edit()}
}

// Editor makes a table; it is spent after Table.
type Editor struct{ names *hosts.Editor[[]*Entry] }

// Add puts an entry under all its names.
func (d *Editor) Add(e *Entry) {
	for _, name := range e.Names {
		list, _ := d.names.Get(name)
		list = append(slices.Clone(list), e)
		slices.SortStableFunc(list, func(a, b *Entry) int {
			if a.kind != b.kind {
				return int(a.kind) - int(b.kind)
			}
			return b.NotAfter.Compare(a.NotAfter)
		})
		d.names.Set(name, list)
	}
}

// Remove takes an entry out.
func (d *Editor) Remove(e *Entry) {
	for _, name := range e.Names {
		list, _ := d.names.Get(name)
		list = slices.DeleteFunc(slices.Clone(list), func(other *Entry) bool { return other == e })
		if len(list) == 0 {
			d.names.Delete(name)
		} else {
			d.names.Set(name, list)
		}
	}
}

// Table returns the edited table.
func (d *Editor) Table() *Table { return &Table{names: d.names.Table()} }

// Find returns the certificate that a client of every ability gets for a
// normalised server name, nil when there is none.
func (t *Table) Find(name string, now time.Time) *Entry { return t.Select(name, now, nil) }

// Select returns the certificate for a normalised server name and a client, nil
// when there is none: one the client can verify before one it cannot, the exact
// name's before the wildcard's, the cheaper key before the dearer; but one that
// has expired only when no other is left. It allocates nothing.
func (t *Table) Select(name string, now time.Time, hello *tls.ClientHelloInfo) *Entry {
	if t == nil {
		return nil
	}
	var best *Entry
	rank := 0 // 3: in force and fits; 2: in force; 1: fits; 0: neither
	consider := func(list []*Entry) bool {
		for _, e := range list {
			r := 0
			if e.NotAfter.After(now) {
				r = 2
			}
			if hello == nil || e.kind.fits(hello) {
				r++
			}
			if best == nil || r > rank {
				best, rank = e, r
			}
			if rank == 3 {
				return true
			}
		}
		return false
	}
	if list, ok := t.names.Exact(name); ok && consider(list) {
		return best
	}
	if list, ok := t.names.Wildcard(name); ok {
		consider(list)
	}
	return best
}

// Covers reports whether whichever certificate a client has got for a server
// name is valid for host too. It allocates nothing.
func (t *Table) Covers(serverName, host string, now time.Time) bool {
	if t == nil {
		return false
	}
	list, _ := t.names.Exact(serverName)
	if covers, inForce := allCover(list, host, now); inForce {
		return covers
	}
	list, _ = t.names.Wildcard(serverName)
	if covers, inForce := allCover(list, host, now); inForce {
		return covers
	}
	e := t.Find(serverName, now)
	return e != nil && e.Covers(host)
}

// allCover looks at those that have not expired.
func allCover(list []*Entry, host string, now time.Time) (covers, inForce bool) {
	covers = true
	for _, e := range list {
		if e.NotAfter.After(now) {
			inForce = true
			covers = covers && e.Covers(host)
		}
	}
	return covers, inForce
}
