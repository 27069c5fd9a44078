package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/mholt/acmez/v3/acme"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/fault"
)

// storedAccount is the account in the Vault. The key is kept before the CA hears
// of it, so that a crash in between does not leave an account without its key.
type storedAccount struct {
	Key      []byte `json:"key"`                // PKCS #8
	Location string `json:"location,omitempty"` // the account's URL; "" until the CA has answered
}

// accountName names the secret: one account a directory.
func (c *Client) accountName() string {
	sum := sha256.Sum256([]byte(c.options.Directory))
	return "acme/account/" + hex.EncodeToString(sum[:8])
}

// registered returns the account, made on first use.
func (c *Client) registered(ctx context.Context, client *acme.Client) (acme.Account, error) {
	return c.register(ctx, client, false)
}

// register returns the account; with again, the CA is asked although there is
// one already.
func (c *Client) register(ctx context.Context, client *acme.Client, again bool) (acme.Account, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.account != nil && !again {
		return *c.account, nil
	}
	stored, key, err := c.loadAccount(ctx)
	if err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{PrivateKey: key, Location: stored.Location, Status: acme.StatusValid}
	if stored.Location == "" || again {
		// Using the platform is agreeing to the terms of the CA that the operator
		// has chosen; the README says so.
		wanted := acme.Account{PrivateKey: key, TermsOfServiceAgreed: true}
		if c.options.Email != "" {
			wanted.Contact = []string{"mailto:" + c.options.Email}
		}
		if c.options.EABKeyID != "" {
			if err := wanted.SetExternalAccountBinding(ctx, client, acme.EAB{KeyID: c.options.EABKeyID, MACKey: c.options.EABMACKey}); err != nil {
				return acme.Account{}, &certificates.IssueError{Away: true, Err: err, Problem: certificates.Problem{
					Reason: "AccountBindingNeeded", Message: "the external account binding cannot be used: " + err.Error(), Fix: "let the operator copy key ID and MAC key from the CA again",
				}}
			}
		}
		if account, err = client.NewAccount(ctx, wanted); err != nil {
			return acme.Account{}, fmt.Errorf("registering with the CA: %w", err)
		}
		account.PrivateKey = key
		stored.Location = account.Location
		if err := c.saveAccount(ctx, stored); err != nil {
			return acme.Account{}, err
		}
		c.options.Logger.Info("registered with the CA", "directory", c.options.Directory, "account", account.Location)
	}
	c.account = &account
	return account, nil
}

// AccountURI implements certificates.AccountHolder.
func (c *Client) AccountURI(ctx context.Context) (string, error) {
	secret, err := c.options.Vault.Secret(ctx, c.accountName())
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var stored storedAccount
	if err := json.Unmarshal(secret, &stored); err != nil {
		return "", fault.New(fault.Internal, "the secret %s cannot be read: %w", c.accountName(), err)
	}
	return stored.Location, nil
}

// loadAccount reads the account, or makes its key.
func (c *Client) loadAccount(ctx context.Context) (storedAccount, *ecdsa.PrivateKey, error) {
	secret, err := c.options.Vault.Secret(ctx, c.accountName())
	if fault.Is(err, fault.NotFound) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return storedAccount{}, nil, fault.New(fault.Internal, "the account's key cannot be made: %w", err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return storedAccount{}, nil, fault.New(fault.Internal, "the account's key cannot be encoded: %w", err)
		}
		stored := storedAccount{Key: der}
		return stored, key, c.saveAccount(ctx, stored)
	}
	if err != nil {
		return storedAccount{}, nil, err
	}
	var stored storedAccount
	if err := json.Unmarshal(secret, &stored); err != nil {
		return storedAccount{}, nil, fault.New(fault.Internal, "the secret %s cannot be read: %w", c.accountName(), err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(stored.Key)
	if err != nil {
		return storedAccount{}, nil, fault.New(fault.Internal, "the secret %s cannot be read: %w", c.accountName(), err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return storedAccount{}, nil, fault.New(fault.Internal, "the secret %s holds another kind of key", c.accountName())
	}
	return stored, key, nil
}

func (c *Client) saveAccount(ctx context.Context, stored storedAccount) error {
	secret, err := json.Marshal(stored)
	if err != nil {
		return fault.New(fault.Internal, "the account cannot be encoded: %w", err)
	}
	return c.options.Vault.PutSecret(ctx, c.accountName(), secret)
}
