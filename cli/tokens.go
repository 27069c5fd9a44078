package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/edgewright/edgewright/client"
)

type tokensCommand struct {
	Create tokensCreate `cmd:"" help:"Make an API token. It is shown once."`
	List   tokensList   `cmd:"" help:"List API tokens." aliases:"ls"`
	Revoke tokensRevoke `cmd:"" help:"Make a token useless at once."`
}

func (tokensCommand) Help() string {
	return examples("edgewright tokens create ci --scope 'cdn:*' --expires 90d", "edgewright tokens list")
}

type tokensCreate struct {
	Name    string   `arg:"" help:"What it is for."`
	Role    string   `placeholder:"ROLE" help:"viewer, developer, admin or owner. Default: developer, or yours when that is less."`
	Scopes  []string `name:"scope" placeholder:"RESOURCE:VERB" help:"Narrow it, like domains:write, cdn:* or *:read; may be repeated. Default: all that the role allows."`
	Expires days     `placeholder:"TIME" help:"How long it is good, like 90d. Default: until revoked."`
}

func (tokensCreate) Help() string {
	return "The token is for the project of --project; '*' is the whole platform. It can do no more than you can.\n\n" + examples(
		"edgewright tokens create ci --role developer --expires 90d",
		"edgewright tokens create purger --scope 'purges:write' -o json | jq -r .token",
		"edgewright tokens create backup --project '*' --role owner")
}

func (c *tokensCreate) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	t := client.CreateToken{Name: c.Name, Role: c.Role, Scopes: c.Scopes}
	if c.Expires > 0 {
		at := a.now().Add(time.Duration(c.Expires)).UTC().Truncate(time.Second)
		t.ExpiresAt = &at
	}
	made, err := cl.CreateToken(a.ctx, t)
	if err != nil {
		return err
	}
	if err := a.show(made, func() { fmt.Fprintln(a.out, clean(made.Secret)) }); err != nil {
		return err
	}
	a.hint("Keep it well: it is not shown again. Revoke it with: edgewright tokens revoke %s", clean(made.ID))
	return nil
}

type tokenList struct {
	Tokens []client.Token `json:"tokens"`
}

type tokensList struct{}

func (tokensList) Help() string {
	return examples("edgewright tokens list", "edgewright tokens list --project '*'")
}

func (tokensList) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	list, err := client.Collect(cl.Tokens(a.ctx))
	if err != nil {
		return err
	}
	return a.show(tokenList{list}, func() {
		if len(list) == 0 {
			a.hint("No tokens.")
			return
		}
		t := a.table("ID", "NAME", "PROJECT", "ROLE", "SCOPES", "ENDS IN", "LAST USED", "EXPIRES")
		for _, k := range list {
			t.row(k.ID, k.Name, k.Project, k.Role, strings.Join(k.Scopes, " "), k.Hint, a.ago(k.LastUsedAt), a.ago(k.ExpiresAt))
		}
		t.print(a.out)
	})
}

type tokensRevoke struct {
	IDs []string `arg:"" name:"id" complete:"tokens" help:"The tokens' IDs."`
}

func (tokensRevoke) Help() string {
	return examples("edgewright tokens revoke tok_01jabcdefghjkmnpqrstvwxyz0")
}

func (c *tokensRevoke) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	for _, id := range c.IDs {
		if err := cl.RevokeToken(a.ctx, id); err != nil {
			return err
		}
		a.hint("Revoked %s.", clean(id))
	}
	return nil
}
