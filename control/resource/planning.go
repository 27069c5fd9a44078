package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// Declared is one resource of a declaration: what a user wants, by name.
type Declared struct {
	Kind Kind            `json:"kind"`
	Name string          `json:"name"`
	Spec json.RawMessage `json:"spec"`
}

// Desired is a declaration of one environment.
type Desired struct {
	Project     string     `json:"project_id"`
	Environment string     `json:"environment"`
	Resources   []Declared `json:"resources"`
	// Prune deletes what the environment has and the declaration has not.
	// Resources that the platform derived stay.
	Prune bool `json:"prune,omitempty"`
}

// PlanApply compares a declaration with what is stored and returns what has to
// be done. Faults of all resources come back together, as Invalid with pointers
// into the declaration ("/resources/2/spec/origins/0/url"). When the plan has been
// applied, planning again gives an empty one.
func PlanApply(ctx context.Context, store Store, types Types, want Desired) (Plan, error) {
	plan := NewPlan(want.Project, want.Environment)
	declared, err := normalizeAll(types, want.Resources)
	if err != nil {
		return plan, err
	}
	live, err := loadEnvironment(ctx, store, types, want.Project, want.Environment)
	if err != nil {
		return plan, err
	}
	wanted := map[string]bool{} // IDs
	for _, d := range declared {
		t, _ := types.Of(d.Kind)
		current, exists := live.named(d.Kind, d.Name)
		if exists {
			wanted[current.ID] = true
			plan.Update(current, t.carry(current.Spec, d.Spec))
			continue
		}
		environment := want.Environment
		if t.Scope == ScopeProject {
			environment = ""
		}
		plan.Create(t, want.Project, environment, d.Name, d.Spec)
	}
	if want.Prune {
		for _, r := range live.resources {
			t, known := types.Of(r.Kind)
			if known && t.Scope == ScopeEnvironment && !wanted[r.ID] && !t.derived(r.Spec) {
				plan.Delete(r)
			}
		}
	}
	return plan, live.finish(ctx, types, &plan, func(kind Kind, name string) string {
		if i := slices.IndexFunc(declared, func(d Declared) bool { return d.Kind == kind && d.Name == name }); i >= 0 {
			return fmt.Sprintf("/resources/%d/name", i)
		}
		return ""
	})
}

// normalizeAll checks a declaration by itself and returns it in canonical form.
func normalizeAll(types Types, resources []Declared) ([]Declared, error) {
	type key struct {
		kind Kind
		name string
	}
	var fields []fault.Field
	normal := make([]Declared, 0, len(resources))
	first := map[key]int{}
	for i, d := range resources {
		at := fmt.Sprintf("/resources/%d", i)
		normalized, found := normalizeOne(types, at, d)
		if len(found) > 0 {
			fields = append(fields, found...)
			continue
		}
		k := key{normalized.Kind, normalized.Name}
		if other, twice := first[k]; twice {
			fields = append(fields, fault.Field{
				Pointer: at + "/name",
				Detail:  fmt.Sprintf("%s %q is declared twice, the first time at /resources/%d", k.kind, k.name, other),
				Fix:     "keep one of the two",
			})
			continue
		}
		first[k] = i
		normal = append(normal, normalized)
	}
	return normal, fault.InvalidFields(fields)
}

func normalizeOne(types Types, at string, d Declared) (Declared, []fault.Field) {
	t, known := types.Of(d.Kind)
	switch {
	case !known:
		return d, []fault.Field{{Pointer: at + "/kind", Detail: fmt.Sprintf("%q is no kind of resource", d.Kind), Fix: kindHint(types, d.Kind)}}
	case t.Scope == ScopePlatform:
		return d, []fault.Field{{Pointer: at + "/kind", Detail: fmt.Sprintf("a %s belongs to the platform and is not declared in a project", d.Kind), Fix: "remove it from the declaration"}}
	case d.Name == "":
		return d, []fault.Field{{Pointer: at + "/name", Detail: "the name is missing", Fix: fmt.Sprintf("give the %s a name", d.Kind)}}
	}
	if t.CanonicalName != nil {
		name, err := t.CanonicalName(d.Name)
		if err != nil {
			return d, fieldsBelow(at+"/name", err)
		}
		d.Name = name
	}
	if len(d.Spec) == 0 {
		d.Spec = json.RawMessage("{}")
	}
	spec, err := t.Normalize(d.Name, d.Spec)
	if err != nil {
		return d, fieldsBelow(at+"/spec", err)
	}
	d.Spec = spec
	return d, nil
}

// fieldsBelow returns a fault's fields with their pointers moved below at.
func fieldsBelow(at string, err error) []fault.Field {
	var coded *fault.Error
	if !errors.As(err, &coded) || len(coded.Fields) == 0 {
		return []fault.Field{{Pointer: at, Detail: err.Error()}}
	}
	fields := slices.Clone(coded.Fields)
	for i := range fields {
		if strings.HasSuffix(at, "/name") {
			fields[i].Pointer = at // a name has no parts
			continue
		}
		fields[i].Pointer = at + fields[i].Pointer
	}
	return fields
}

// kindHint names the kind that was probably meant, or all there are.
func kindHint(types Types, kind Kind) string {
	var names []string
	for _, t := range types {
		if t.Scope == ScopePlatform {
			continue
		}
		if strings.TrimSuffix(strings.ToLower(string(kind)), "s") == string(t.Kind) {
			return fmt.Sprintf("write %q", t.Kind)
		}
		names = append(names, string(t.Kind))
	}
	return "use one of: " + strings.Join(names, ", ")
}

// environment is what is stored of a project's environment, with the resources
// that belong to the whole project, as a plan is made.
type environment struct {
	resources []Resource
	byID      map[string]int
	byName    map[string]int
	// elsewhere holds, for a project as a whole, what its environments have:
	// it may refer to the project's resources.
	elsewhere []Resource
}

func loadEnvironment(ctx context.Context, store Store, types Types, project, name string) (*environment, error) {
	live := &environment{byID: map[string]int{}, byName: map[string]int{}}
	queries := []Query{{Project: project, Environment: name}}
	if project == "" {
		queries[0].PlatformOnly = true
	}
	if name != "" {
		for _, kind := range types.Kinds(ScopeProject) {
			queries = append(queries, Query{Kind: kind, Project: project})
		}
	}
	for _, q := range queries {
		q.Limit = 1000
		for {
			page, err := store.List(ctx, q)
			if err != nil {
				return nil, err
			}
			for _, r := range page.Items {
				if name == "" && r.Environment != "" {
					live.elsewhere = append(live.elsewhere, r)
					continue
				}
				live.add(r)
			}
			if q.Cursor = page.Next; page.Next == "" {
				break
			}
		}
	}
	return live, nil
}

func (e *environment) add(r Resource) {
	e.byID[r.ID] = len(e.resources)
	e.byName[nameKey(r.Kind, r.Name)] = len(e.resources)
	e.resources = append(e.resources, r)
}

func (e *environment) named(kind Kind, name string) (Resource, bool) {
	i, ok := e.byName[nameKey(kind, name)]
	if !ok {
		return Resource{}, false
	}
	return e.resources[i], true
}

func (e *environment) has(ref Reference) bool {
	if ref.ID != "" {
		i, ok := e.byID[ref.ID]
		return ok && e.resources[i].Kind == ref.Kind
	}
	_, ok := e.byName[nameKey(ref.Kind, ref.Name)]
	return ok
}

func nameKey(kind Kind, name string) string { return string(kind) + "\x00" + name }

// after returns the environment as the plan would leave it.
func (e *environment) after(plan *Plan) *environment {
	actions := map[string]Action{}
	for _, a := range plan.Actions {
		actions[a.ID] = a
	}
	next := &environment{byID: map[string]int{}, byName: map[string]int{}}
	for _, r := range e.resources {
		a, touched := actions[r.ID]
		if touched && a.Op == Delete {
			continue
		}
		if touched {
			r.Name, r.Spec = a.Name, a.After
		}
		next.add(r)
	}
	for _, a := range plan.Actions {
		if _, exists := e.byID[a.ID]; !exists && a.Op == Create {
			next.add(Resource{Meta: Meta{Kind: a.Kind, ID: a.ID, Project: a.Project, Environment: a.Environment, Name: a.Name}, Spec: a.After})
		}
	}
	return next
}

// finish checks the references that the plan makes or breaks, and puts its
// actions in the order in which a reader understands them: what is referred to
// before what refers to it, deletions last and the other way round. at tells where
// resources are declared, nil when nothing is.
func (e *environment) finish(ctx context.Context, types Types, plan *Plan, at func(kind Kind, name string) string) error {
	next := e.after(plan)
	if err := checkGuards(types, plan); err != nil {
		return err
	}
	if err := checkHeld(ctx, types, *plan); err != nil {
		return clashesAt(err, at)
	}
	if err := checkMade(types, plan, next); err != nil {
		return err
	}
	if err := e.checkBroken(types, next); err != nil {
		return err
	}
	plan.Actions = ordered(types, plan.Actions)
	return nil
}

// checkGuards asks the types whether the plan may change what it changes.
func checkGuards(types Types, plan *Plan) error {
	for _, a := range plan.Actions {
		t, known := types.Of(a.Kind)
		if !known || t.Guard == nil || a.Op == Create {
			continue
		}
		if err := t.Guard(a.Name, a.Before, a.After); err != nil {
			return err
		}
	}
	return nil
}

// CheckHeld asks the types whether anything forbids the plan now (Type.Held).
func CheckHeld(ctx context.Context, types Types, plan Plan) error {
	return clashesAt(checkHeld(ctx, types, plan), nil)
}

func checkHeld(ctx context.Context, types Types, plan Plan) error {
	for _, t := range types {
		if t.Held == nil {
			continue
		}
		var changes []Action
		for _, a := range plan.Actions {
			if a.Kind == t.Kind {
				changes = append(changes, a)
			}
		}
		if len(changes) == 0 {
			continue
		}
		if err := t.Held(ctx, changes, plan.Actions); err != nil {
			return err
		}
	}
	return nil
}

// checkMade looks at what new and changed resources refer to.
func checkMade(types Types, plan *Plan, next *environment) error {
	for _, a := range plan.Actions {
		t, known := types.Of(a.Kind)
		if !known || a.Op == Delete {
			continue
		}
		for _, ref := range t.references(a.After) {
			if next.has(ref) {
				continue
			}
			if !ref.Optional {
				return fault.New(fault.Invalid, "refers to the %s, which does not exist: add it, or change the reference", ref).About(fmt.Sprintf("%s %s", a.Kind, a.Name))
			}
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("%s %s refers to the %s, which does not exist yet", a.Kind, a.Name, ref))
		}
	}
	return nil
}

// checkBroken refuses a plan that takes away what others still refer to.
func (e *environment) checkBroken(types Types, next *environment) error {
	users := map[string][]string{} // what is missed -> who misses it
	var missed []string
	for _, r := range slices.Concat(next.resources, e.elsewhere) {
		t, known := types.Of(r.Kind)
		if !known || t.derived(r.Spec) {
			continue
		}
		for _, ref := range t.references(r.Spec) {
			if !e.has(ref) || next.has(ref) {
				continue
			}
			what := ref.String()
			if users[what] == nil {
				missed = append(missed, what)
			}
			users[what] = append(users[what], string(r.Kind)+" "+r.Name)
		}
	}
	if len(missed) == 0 {
		return nil
	}
	who := users[missed[0]]
	list := strings.Join(who[:min(len(who), 3)], ", ")
	if n := len(who) - 3; n > 0 {
		list += fmt.Sprintf(" and %d more", n)
	}
	return fault.New(fault.Conflict, "is still used by %s: change or remove that first", list).About(missed[0])
}

func (r Reference) String() string {
	if r.ID != "" {
		return string(r.Kind) + " " + r.ID
	}
	return string(r.Kind) + " " + r.Name
}

// ordered sorts actions by reference, keeping their order otherwise.
func ordered(types Types, actions []Action) []Action {
	index := map[string]int{}
	for i, a := range actions {
		index[nameKey(a.Kind, a.Name)] = i
		index[nameKey(a.Kind, a.ID)] = i
	}
	sorted := make([]Action, 0, len(actions))
	visited := make([]bool, len(actions))
	var visit func(i int, deletions bool)
	visit = func(i int, deletions bool) {
		a := actions[i]
		if visited[i] || (a.Op == Delete) != deletions {
			return
		}
		visited[i] = true
		spec := a.After
		if deletions {
			spec = a.Before
		}
		t, _ := types.Of(a.Kind)
		for _, ref := range t.references(spec) {
			name := ref.Name
			if ref.ID != "" {
				name = ref.ID
			}
			if j, ok := index[nameKey(ref.Kind, name)]; ok {
				visit(j, deletions)
			}
		}
		sorted = append(sorted, a)
	}
	for i := range actions {
		visit(i, false)
	}
	made := len(sorted)
	for i := range actions {
		visit(i, true)
	}
	slices.Reverse(sorted[made:])
	return sorted
}
