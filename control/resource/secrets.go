package resource

import (
	"context"

	"github.com/edgewright/edgewright/fault"
)

// ListedVault is a Vault that tells what it holds.
type ListedVault interface {
	Vault
	// SecretNames lists the names of secrets that begin so, in their order.
	SecretNames(ctx context.Context, prefix string) ([]string, error)
}

// ForgetSecrets deletes the secrets of a resource that is gone, whichever way it
// went: all that are named "<kind>/<id>/...". One that is there keeps them, and so
// does one that is about to be: it has no history yet.
func ForgetSecrets(ctx context.Context, store Store, vault ListedVault, kind Kind, id string) error {
	// Read first: what comes back after that may be given others.
	names, err := vault.SecretNames(ctx, string(kind)+"/"+id+"/")
	if err != nil || len(names) == 0 {
		return err
	}
	if _, err := store.Get(ctx, kind, id); !fault.Is(err, fault.NotFound) {
		return err
	}
	past, _, err := store.History(ctx, HistoryQuery{Kind: kind, ID: id, Limit: 1})
	if err != nil || len(past) == 0 {
		return err
	}
	for _, name := range names {
		if err := vault.DeleteSecret(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
