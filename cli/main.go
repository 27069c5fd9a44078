package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/edgewright/edgewright/client"
)

// The exit statuses.
const (
	exitOK      = 0
	exitFailed  = 1
	exitPending = 2
)

// globals are the flags that every command takes.
type globals struct {
	Data        string `env:"EDGEWRIGHT_DATA" placeholder:"DIR" help:"Data directory. Default: ~/.local/share/edgewright."`
	URL         string `env:"EDGEWRIGHT_URL" group:"connection" placeholder:"URL" help:"Control plane to talk to."`
	Token       string `env:"EDGEWRIGHT_TOKEN" group:"connection" placeholder:"TOKEN" help:"API token; for edge, the one-time join token."`
	RootCA      string `name:"root-ca" env:"EDGEWRIGHT_ROOT_CA" group:"connection" placeholder:"FILE" help:"PEM file of the CA that signed the control plane's certificate."`
	Project     string `env:"EDGEWRIGHT_PROJECT" complete:"projects" group:"connection" placeholder:"PROJECT" help:"Project. Default: default."`
	Environment string `env:"EDGEWRIGHT_ENVIRONMENT" group:"connection" short:"e" placeholder:"ENV" help:"Environment. Default: production."`
	Output      string `env:"EDGEWRIGHT_OUTPUT" group:"connection" short:"o" enum:"table, json, yaml" default:"table" help:"Form of the answer: ${enum}."`
}

// grammar is the whole command line.
type grammar struct {
	globals

	Up      upCommand      `cmd:"" group:"run" help:"Run everything on this machine: control plane, dashboard and edge."`
	Control controlCommand `cmd:"" group:"run" help:"Run a control plane that edges on other machines join."`
	Edge    edgeCommand    `cmd:"" group:"run" help:"Run an edge node that joins a control plane."`

	Login  loginCommand  `cmd:"" group:"session" help:"Keep the address and token of a control plane, or make a browser link."`
	Logout logoutCommand `cmd:"" group:"session" help:"Forget the kept address and token."`
	Status statusCommand `cmd:"" group:"session" help:"Show whether everything is well."`
	Trust  trustCommand  `cmd:"" group:"session" help:"Make this machine trust certificates of the local CA."`

	Domains domainsCommand `cmd:"" group:"content" help:"Domains: add, verify, show, change, remove."`
	Certs   certsCommand   `cmd:"" group:"content" help:"Certificates: list, issue, upload, export, import, CAs."`
	DNS     dnsCommand     `cmd:"" name:"dns" group:"content" help:"Managed zones: records, zone files, DNSSEC."`
	CDN     cdnCommand     `cmd:"" group:"content" help:"Origins and cache rules."`
	Purge   purgeCommand   `cmd:"" group:"content" help:"Drop cached responses on every edge."`

	Plan     planCommand     `cmd:"" group:"declare" help:"Show what a file would change, and keep the plan."`
	Apply    applyCommand    `cmd:"" group:"declare" help:"Bring everything to what a file or a kept plan says."`
	Diff     diffCommand     `cmd:"" group:"declare" help:"Compare a file with what there is, field by field."`
	Export   exportCommand   `cmd:"" group:"declare" help:"Write what there is as a file for plan and apply."`
	History  historyCommand  `cmd:"" group:"declare" help:"Show past changes and how far each has come."`
	Revert   revertCommand   `cmd:"" group:"declare" help:"Undo one change."`
	Rollback rollbackCommand `cmd:"" group:"declare" help:"Go back to how everything was."`

	Edges        edgesCommand        `cmd:"" group:"operate" help:"Edge nodes: list, join, drain, revoke."`
	Tokens       tokensCommand       `cmd:"" group:"operate" help:"API tokens: create, list, revoke."`
	Projects     projectsCommand     `cmd:"" group:"operate" help:"Projects: list, create, delete."`
	Environments environmentsCommand `cmd:"" group:"operate" help:"Environments of a project: list, create, delete."`
	Members      membersCommand      `cmd:"" group:"operate" help:"Members of a project: list, invite, remove."`

	Audit auditCommand `cmd:"" group:"operate" help:"Show who did what."`
	Logs  logsCommand  `cmd:"" group:"operate" help:"Follow changes, roll-outs and traffic as they happen."`

	Backup          backupCommand          `cmd:"" group:"operate" help:"Write a backup, while everything runs."`
	Restore         restoreCommand         `cmd:"" group:"operate" help:"Read a backup into an empty data directory."`
	RotateMasterKey rotateMasterKeyCommand `cmd:"" name:"rotate-master-key" group:"operate" help:"Replace the key under which secrets are kept."`

	OpenAPI    openapiCommand    `cmd:"" name:"openapi" group:"other" help:"Print the OpenAPI document of the API."`
	Completion completionCommand `cmd:"" group:"other" help:"Print a completion script for your shell."`
	Version    versionCommand    `cmd:"" group:"other" help:"Print the version."`
	Complete   completeCommand   `cmd:"" name:"__complete" group:"other" hidden:"" help:"Print completions for the words given."`
}

// app is what a command gets to work with.
type app struct {
	ctx     context.Context
	in      io.Reader
	out     io.Writer // for what was asked for
	err     io.Writer // for everything else
	outTTY  bool
	errTTY  bool
	inTTY   bool
	ink     ink // styles for out
	note    ink // styles for err
	flags   *globals
	servers Servers
	model   *kong.Application
	now     func() time.Time
	cached  *client.Client
}

// exitPanic carries an exit status out of kong, whose --help ends the process.
type exitPanic int

// status is an error that only sets the exit status: everything was said.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// Main runs one command line, without the program's name, and returns the exit
// status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer, servers Servers) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// From the first signal on, a second one has its usual effect.
	context.AfterFunc(ctx, stop)

	a := &app{
		ctx: ctx, in: stdin, out: stdout, err: stderr,
		outTTY: isTerminal(stdout), errTTY: isTerminal(stderr), inTTY: isTerminal(stdin),
		servers: servers, now: time.Now,
	}
	a.ink, a.note = newInk(a.outTTY), newInk(a.errTTY)
	return a.run(args)
}

func (a *app) run(args []string) int {
	var g grammar
	parser, err := newParser(&g, a.out, a.err)
	if err != nil {
		fmt.Fprintln(a.err, "edgewright:", err) // a defect of the grammar; the tests parse it
		return exitFailed
	}
	a.flags, a.model = &g.globals, parser.Model
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, code, err := parse(parser, args)
	switch {
	case err != nil:
		return a.misused(err)
	case parsed == nil:
		return code // --help was printed
	}
	// An error after this point is reported in the form that was asked for.
	err = parsed.Run(a)
	var s status
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &s):
		return int(s)
	case errors.Is(err, context.Canceled) && a.ctx.Err() != nil:
		fmt.Fprintln(a.err, "interrupted")
		return exitFailed
	}
	a.explain(err)
	return exitFailed
}

// parse returns the parsed line, or the exit status of one that asked for help.
func parse(parser *kong.Kong, args []string) (parsed *kong.Context, code int, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exitPanic:
			parsed, code, err = nil, int(r), nil
		default:
			panic(r)
		}
	}()
	parsed, err = parser.Parse(args)
	return parsed, exitOK, err
}

func newParser(g *grammar, stdout, stderr io.Writer) (*kong.Kong, error) {
	return kong.New(g,
		kong.Name("edgewright"),
		kong.Description("An edge network of your own: domains, certificates, caching and edges, declared once and carried out everywhere."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exitPanic(code)) }),
		kong.ConfigureHelp(helpOptions),
		kong.Help(printHelp),
		kong.ExplicitGroups(groups),
	)
}

// misused reports a command line that could not be understood.
func (a *app) misused(err error) int {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		node := parse.Context.Selected()
		if node != nil && len(node.Children) > 0 && strings.HasPrefix(err.Error(), "expected ") {
			// "edgewright domains": show what can follow.
			parse.Context.Stdout = a.err
			_ = printHelp(helpOptions, parse.Context)
			return exitFailed
		}
		a.explain(err)
		path := "edgewright"
		if node != nil {
			path = node.FullPath()
		}
		fmt.Fprintf(a.err, "Run %q for usage and examples.\n", path+" --help")
		return exitFailed
	}
	a.explain(err)
	return exitFailed
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
