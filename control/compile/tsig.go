package compile

import (
	"context"
	"fmt"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones/tsig"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// Secrets reads the secrets of TSIG keys; *tsig.Service is one.
type Secrets interface {
	Secret(ctx context.Context, id string, generation int) ([]byte, error)
}

// SetSecrets says where the secrets of TSIG keys come from. Without, keys make no
// documents. It is called before the first event.
func (c *Compiler) SetSecrets(s Secrets) { c.secrets = s }

// tsig compiles a key when its secret is there, which its status tells.
func (c *Compiler) tsig(event resource.Event) []Output {
	id := event.Resource.ID
	if event.Type == resource.Deleted || c.secrets == nil {
		delete(c.keys, id)
		c.problems.clear(id)
		return []Output{{Key: edgeconfig.KindTSIG + "/" + id, Scope: edgeconfig.ScopeAll, Deleted: true, Asked: true}}
	}
	k, err := resource.Decode[tsig.Spec, tsig.Status](event.Resource)
	if err != nil {
		c.problems.set(id, fmt.Errorf("it cannot be read: %w", err))
		return nil
	}
	c.keys[id] = k
	return c.tsigKey(k)
}

func (c *Compiler) tsigKey(k tsig.Key) []Output {
	if k.Status.Generation != k.Spec.Generation {
		c.problems.set(k.ID, fmt.Errorf("its secret is being made"))
		return nil
	}
	secret, err := c.secrets.Secret(context.Background(), k.ID, k.Spec.Generation)
	if err != nil {
		c.problems.set(k.ID, fmt.Errorf("its secret cannot be read: %w", err))
		return nil
	}
	body := edgeconfig.TSIGKey{
		ID: k.ID, Name: k.Name, Algorithm: k.Spec.Algorithm, KeyGroup: c.key.Group,
		SecretSealed: secrets.SealFor(c.key.Key, edgeconfig.TSIGContext(k.ID), secret),
	}
	if err := edgeconfig.ValidateTSIGKey(&body); err != nil {
		c.problems.set(k.ID, err)
		return nil
	}
	c.problems.clear(k.ID)
	return []Output{output(edgeconfig.KindTSIG+"/"+k.ID, body)}
}
