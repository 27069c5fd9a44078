package cli

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// groups order and title the commands and flags of --help.
var groups = []kong.Group{
	{Key: "run", Title: "Run:"},
	{Key: "session", Title: "Connect and look:"},
	{Key: "content", Title: "Serve:"},
	{Key: "declare", Title: "Declare, plan, undo:"},
	{Key: "operate", Title: "Operate:"},
	{Key: "other", Title: "Other:"},
	{Key: "connection", Title: "Flags of every command that talks to a control plane:"},
}

var helpOptions = kong.HelpOptions{
	Compact: true, NoExpandSubcommands: true, FlagsLast: true, WrapUpperBound: 100,
	ValueFormatter: kong.DefaultHelpValueFormatter,
}

// unused names the global flags that mean nothing to a command, so that its
// help does not list them. A command that is not named uses all but --data.
var unused = map[string][]string{
	"up":                {"url", "token", "root-ca", "project", "environment", "output"},
	"control":           {"url", "token", "root-ca", "project", "environment", "output"},
	"edge":              {"url", "project", "environment", "output"},
	"login":             {},
	"logout":            {"data", "url", "token", "root-ca", "project", "environment", "output"},
	"trust":             {"data", "token", "project", "environment", "output"},
	"backup":            {"project", "environment"},
	"restore":           {"url", "token", "root-ca", "project", "environment", "output"},
	"rotate-master-key": {"url", "token", "root-ca", "project", "environment"},
	"openapi":           {"data", "project", "environment", "output"},
	"completion":        {"data", "url", "token", "root-ca", "project", "environment", "output"},
	"version":           {"data", "url", "token", "root-ca", "project", "environment"},
	"edges":             {"data", "project", "environment"},
	"tokens":            {"data", "environment"},
	"projects":          {"data", "project", "environment"},
	"environments":      {"data", "environment"},
	"members":           {"data", "environment"},
	"audit":             {"data", "environment"},
}

// examples is the tail of a command's help.
func examples(lines ...string) string {
	return "Examples:\n\n    " + strings.Join(lines, "\n    ")
}

// printHelp is kong's help without the global flags that the command ignores.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	top := ""
	if node := ctx.Selected(); node != nil {
		for node.Parent != nil && node.Parent.Type != kong.ApplicationNode {
			node = node.Parent
		}
		top = node.Name
	}
	hidden, ok := unused[top]
	if !ok {
		hidden = []string{"data"}
	}
	for _, flag := range ctx.Model.Flags {
		if slices.Contains(hidden, flag.Name) {
			flag.Hidden = true
		}
	}
	if node := ctx.Selected(); node != nil {
		for _, child := range node.Children {
			child.Group = &kong.Group{Key: "commands", Title: "Commands:"}
		}
	}
	return kong.DefaultHelpPrinter(options, ctx)
}
