package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/edgewright/edgewright/cli/declare"
	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

// defaultFile is what plan, apply and diff read when no file is named.
const defaultFile = "edgewright.yaml"

// fileFlags name a file of declarations.
type fileFlags struct {
	File  string `short:"f" placeholder:"FILE" help:"File with declarations, - for standard input. Default: edgewright.yaml."`
	Prune bool   `help:"Delete what the file does not declare."`
}

// savedPlan is what plan --out writes and apply reads.
type savedPlan struct {
	PlanID      string `json:"plan_id"`
	URL         string `json:"url"`
	Project     string `json:"project_id"`
	Environment string `json:"environment"`
}

// read parses the file. The client it returns is for the file's project and
// environment, unless flags say otherwise.
func (f *fileFlags) read(a *app) (*declare.File, *client.Client, error) {
	name := f.File
	if name == "" {
		name = defaultFile
	}
	var source []byte
	var err error
	if name == "-" {
		name = "standard input"
		source, err = io.ReadAll(io.LimitReader(a.in, declare.MaxBytes+1))
	} else {
		source, err = os.ReadFile(name)
	}
	if err != nil {
		if errors.Is(err, os.ErrNotExist) && f.File == "" {
			return nil, nil, fault.New(fault.Invalid, "there is no %s here; name a file with -f, or begin one with \"edgewright export > %s\"", defaultFile, defaultFile)
		}
		return nil, nil, fault.New(fault.Invalid, "%s cannot be read: %w", name, err)
	}
	file, err := declare.Parse(name, source)
	if err != nil {
		return nil, nil, err
	}
	cl, err := a.clientFor(file)
	return file, cl, err
}

// clientFor is the client for a file's project and environment. A flag that
// says something else than the file is a mistake, not a choice.
func (a *app) clientFor(file *declare.File) (*client.Client, error) {
	for _, s := range []struct{ name, flag, file string }{
		{"project", a.flags.Project, file.Project}, {"environment", a.flags.Environment, file.Environment},
	} {
		if s.flag != "" && s.file != "" && s.flag != s.file {
			return nil, fault.New(fault.Invalid, "%s is for %s %q, but --%s says %q; take one of them away", file.Name, s.name, s.file, s.name, s.flag)
		}
	}
	cl, err := a.client()
	if err != nil {
		return nil, err
	}
	return cl.In(file.Project, file.Environment), nil
}

// plan asks the server for a plan, and shows its complaints where they are in
// the file.
func (f *fileFlags) plan(a *app) (*client.Plan, *client.Client, error) {
	file, cl, err := f.read(a)
	if err != nil {
		return nil, nil, err
	}
	d := client.Desired{Prune: f.Prune, Resources: make([]client.Declared, 0, len(file.Resources))}
	for _, r := range file.Resources {
		d.Resources = append(d.Resources, client.Declared{Kind: r.Kind, Name: r.Name, Spec: r.Spec})
	}
	p, err := cl.Plan(a.ctx, d)
	if err != nil {
		return nil, nil, inFile(file, err)
	}
	return p, cl, nil
}

// inFile turns pointers into places: "/resources/2/spec/origins/0/url" becomes
// "site.yaml:14:11".
func inFile(file *declare.File, err error) error {
	var api *client.Error
	if !errors.As(err, &api) || api.Code != fault.Invalid || len(api.Fields) == 0 {
		return err
	}
	placed := *api
	placed.Fields = make([]fault.Field, len(api.Fields))
	for i, f := range api.Fields {
		if line, column, ok := file.Locate(f.Pointer); ok {
			f.Pointer = fmt.Sprintf("%s:%d:%d %s", file.Name, line, column, shortPointer(f.Pointer))
		}
		f.Detail = elsewhere.ReplaceAllStringFunc(f.Detail, func(pointer string) string {
			if line, column, ok := file.Locate(pointer); ok {
				return fmt.Sprintf("%s:%d:%d", file.Name, line, column)
			}
			return pointer
		})
		placed.Fields[i] = f
	}
	placed.Detail = file.Name + " is not valid for this control plane; nothing was planned"
	return &placed
}

// elsewhere is a place that a fault speaks of beside its own.
var elsewhere = regexp.MustCompile(`/resources/[0-9]+(/[a-z_]+)?`)

// shortPointer drops what the line says already.
func shortPointer(pointer string) string {
	parts := strings.SplitN(pointer, "/", 4) // "", resources, 2, spec/...
	if len(parts) < 4 {
		return ""
	}
	return path("/" + parts[3])
}

// path writes a JSON pointer as people do: cache_rules[0].ttl.
func path(pointer string) string {
	var b strings.Builder
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch {
		case part != "" && strings.Trim(part, "0123456789") == "":
			b.WriteString("[" + part + "]")
		case b.Len() > 0:
			b.WriteString("." + part)
		default:
			b.WriteString(part)
		}
	}
	return b.String()
}

type planCommand struct {
	fileFlags
	Out string `placeholder:"FILE" help:"Keep the plan in this file, for \"edgewright apply FILE\"."`
}

func (planCommand) Help() string {
	return "Exit status 0: nothing to do. 2: changes are pending. 1: it failed. The plan is kept by the control plane; applying it later is refused when something it touches has changed meanwhile.\n\n" + examples(
		"edgewright plan",
		"edgewright plan -f site.yaml --prune --out site.plan",
		"edgewright plan -f site.yaml -o json | jq '.actions[] | {op, kind, name}'")
}

func (c *planCommand) Run(a *app) error {
	p, cl, err := c.plan(a)
	if err != nil {
		return err
	}
	if c.Out != "" {
		raw, err := json.MarshalIndent(savedPlan{p.ID, cl.URL(), cl.Project(), cl.Environment()}, "", "  ")
		if err != nil {
			return err
		}
		if err := writeFile(c.Out, append(raw, '\n'), 0o600); err != nil {
			return err
		}
	}
	if err := a.show(p, func() { a.printPlan(cl, p) }); err != nil {
		return err
	}
	if p.Empty() {
		return nil
	}
	what := p.ID
	if c.Out != "" {
		what = c.Out
	}
	a.hint("\nCarry it out with: edgewright apply %s", what)
	return status(exitPending)
}

type diffCommand struct {
	fileFlags
	Revision int64 `placeholder:"N" help:"Show what a past revision changed, in place of comparing a file."`
}

func (diffCommand) Help() string {
	return "Exit status 0: the file says what is. 2: there are differences. 1: it failed.\n\n" + examples(
		"edgewright diff",
		"edgewright diff -f site.yaml --prune",
		"edgewright diff --revision 41")
}

func (c *diffCommand) Run(a *app) error {
	if c.Revision != 0 {
		cl, err := a.client()
		if err != nil {
			return err
		}
		rev, err := cl.Revision(a.ctx, c.Revision)
		if err != nil {
			return err
		}
		return a.show(rev, func() { a.printRevision(rev) })
	}
	p, _, err := c.plan(a)
	if err != nil {
		return err
	}
	if err := a.show(p, func() {
		if p.Empty() {
			fmt.Fprintln(a.out, "No differences.")
			return
		}
		for _, action := range p.Actions {
			a.printAction(action.Op, action.Kind, action.Name, action.Diff, true)
		}
	}); err != nil {
		return err
	}
	if p.Empty() {
		return nil
	}
	return status(exitPending)
}

type applyCommand struct {
	Plan string `arg:"" optional:"" help:"A kept plan: its ID, or the file of plan --out. Default: make a plan of -f."`
	fileFlags
	Reason string `placeholder:"TEXT" help:"Why; kept with the revision."`
	yesFlag
	waitFlags
}

func (applyCommand) Help() string {
	return "Everything in a plan happens at once or not at all.\n\n" + examples(
		"edgewright apply -f site.yaml",
		"edgewright apply -f site.yaml --prune --yes --wait",
		"edgewright apply site.plan",
		"edgewright apply plan_01jabcdefghjkmnpqrstvwxyz0 --reason 'release 42'")
}

// outcome is the answer of apply, revert and rollback.
type outcome struct {
	Revision int64        `json:"revision"`
	Plan     *client.Plan `json:"plan"`
}

func (c *applyCommand) Run(a *app) error {
	p, cl, err := c.load(a)
	if err != nil {
		return err
	}
	if p.AppliedRevision != 0 {
		return fault.New(fault.Conflict, "plan %s was carried out already, as revision %d; see \"edgewright history %d\"", p.ID, p.AppliedRevision, p.AppliedRevision)
	}
	if p.Empty() {
		return a.show(outcome{0, p}, func() { a.printPlan(cl, p) })
	}
	if a.flags.Output == "table" {
		a.printPlan(cl, p)
	}
	if err := a.confirm(c.Yes, "Carry this out in %s?", scopeOf(cl, p)); err != nil {
		return err
	}
	done, err := cl.ApplyPlan(a.ctx, p.ID, c.Reason)
	if err != nil {
		if fault.Is(err, fault.Stale) {
			return withAdvice(err, "something in the plan was changed since it was made: make a new plan with \"edgewright plan\", look at it, and apply that")
		}
		return err
	}
	p.AppliedRevision = done.Revision
	return a.finish(cl, done.Revision, p, c.waitFlags)
}

// finish reports a carried out plan and waits for its roll-out when asked.
func (a *app) finish(cl *client.Client, revision int64, p *client.Plan, w waitFlags) error {
	if err := a.show(outcome{revision, p}, func() {
		if revision == 0 {
			fmt.Fprintln(a.out, "Nothing to do.")
			return
		}
		fmt.Fprintf(a.out, "%s as revision %d.\n", a.ink.green("Done"), revision)
	}); err != nil || !w.Wait {
		return err
	}
	return a.awaitPlan(cl, revision, p, w.Timeout)
}

// awaitPlan waits until what a plan did is in force. A new domain is more than
// its revision: ownership, certificate and site come after it.
func (a *app) awaitPlan(cl *client.Client, revision int64, p *client.Plan, limit time.Duration) error {
	deadline := a.now().Add(limit)
	added := 0
	for _, action := range p.Actions {
		if action.Op != "create" || action.Kind != "domain" {
			continue
		}
		added++
		d, err := a.awaitFirstLook(cl, action.Name)
		if err != nil {
			return err
		}
		if d.Verification.Required && d.Verification.Status == "pending" {
			a.hint("%s waits for the proof that it is yours: edgewright domains verify %s", clean(d.Display), d.Domain)
			continue
		}
		if d, err = a.awaitDomain(cl, d.Domain, deadline.Sub(a.now())); err != nil {
			return err
		}
		a.hint("%s", a.note.green("Serving "+clean(d.URL)))
	}
	if added > 0 && added == len(p.Actions) {
		return nil
	}
	return a.awaitRollout(cl, revision, deadline.Sub(a.now()))
}

// load makes the plan, or fetches the kept one.
func (c *applyCommand) load(a *app) (*client.Plan, *client.Client, error) {
	if c.Plan == "" {
		return c.plan(a)
	}
	if c.File != "" || c.Prune {
		return nil, nil, fault.New(fault.Invalid, "-f and --prune make a plan, %q is one; give one of them", c.Plan)
	}
	cl, err := a.client()
	if err != nil {
		return nil, nil, err
	}
	id := c.Plan
	if raw, err := os.ReadFile(c.Plan); err == nil {
		var saved savedPlan
		if json.Unmarshal(raw, &saved) != nil || saved.PlanID == "" {
			return nil, nil, fault.New(fault.Invalid, "%s is not a kept plan; to carry out a file of declarations: edgewright apply -f %s", c.Plan, c.Plan)
		}
		if !sameAddress(saved.URL, cl.URL()) {
			return nil, nil, fault.New(fault.Invalid, "the plan in %s was made by %s, not by %s; pass --url %s", c.Plan, saved.URL, cl.URL(), saved.URL)
		}
		id, cl = saved.PlanID, cl.In(saved.Project, saved.Environment)
	} else if !strings.HasPrefix(c.Plan, "plan_") {
		return nil, nil, fault.New(fault.Invalid, "%q is neither a plan's ID nor a file that can be read; to carry out a file of declarations: edgewright apply -f FILE", c.Plan)
	}
	p, err := cl.StoredPlan(a.ctx, id)
	return p, cl, err
}

// firstLook bounds the time until the control plane has looked at a new domain
// for the first time; names that need no proof are through by then.
const firstLook = 15 * time.Second

func (a *app) awaitFirstLook(cl *client.Client, domain string) (d *client.Domain, err error) {
	_, err = a.poll(firstLook, func() (bool, error) {
		d, err = cl.Domain(a.ctx, domain)
		return err == nil && (d.Verification.Status != "pending" || d.Verification.CheckedAt != nil), err
	})
	return d, err
}

type exportCommand struct {
	Out string `placeholder:"FILE" help:"Write to this file in place of standard output."`
}

func (exportCommand) Help() string {
	return "Always YAML, unless -o json is given. \"edgewright plan\" of the result has nothing to do.\n\n" + examples(
		"edgewright export > edgewright.yaml",
		"edgewright export -e staging | edgewright plan -e production -f -")
}

func (c *exportCommand) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	e, err := cl.Export(a.ctx)
	if err != nil {
		return err
	}
	// Project and environment are left out: the file is then good for any.
	content := struct {
		Resources []client.Declared `json:"resources"`
	}{e.Resources}
	var b strings.Builder
	if a.flags.Output == "json" {
		err = writeJSON(&b, content)
	} else {
		fmt.Fprintf(&b, "# %s/%s, exported from %s\n", clean(cl.Project()), clean(cl.Environment()), cl.URL())
		err = writeYAML(&b, content)
	}
	if err != nil {
		return err
	}
	if c.Out != "" {
		return writeFile(c.Out, []byte(b.String()), 0o644)
	}
	_, err = io.WriteString(a.out, b.String())
	return err
}
