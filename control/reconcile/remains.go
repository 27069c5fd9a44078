package reconcile

import (
	"context"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Remembering is a Reconciler with more to look at than what is live: what went
// while nobody looked has left something behind, and no event tells of it.
type Remembering interface {
	// Remains returns what is gone and may have left something. It is asked at the
	// start, and again when it fails.
	Remains(ctx context.Context) ([]Ref, error)
}

// remains stands in a queue for the question.
var remains Ref

// OrphanedSecrets returns those of a kind that have secrets in a vault and are not
// there: gone, or about to be; resource.ForgetSecrets tells which.
func OrphanedSecrets(ctx context.Context, store resource.Store, vault resource.ListedVault, kind resource.Kind) ([]Ref, error) {
	prefix := string(kind) + "/"
	names, err := vault.SecretNames(ctx, prefix)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		names[i], _, _ = strings.Cut(strings.TrimPrefix(name, prefix), "/")
	}
	var refs []Ref
	for _, id := range slices.Compact(names) { // they are in order
		if _, err := store.Get(ctx, kind, id); fault.Is(err, fault.NotFound) {
			refs = append(refs, Ref{kind, id})
		} else if err != nil {
			return nil, err
		}
	}
	return refs, nil
}
