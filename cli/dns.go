package cli

type dnsCommand struct {
	Providers dnsProvidersCommand `cmd:"" help:"Accounts at DNS providers: list, add, test, remove."`
}

func (dnsCommand) Help() string {
	return examples("edgewright dns providers list", "edgewright dns providers add main --driver cloudflare")
}
