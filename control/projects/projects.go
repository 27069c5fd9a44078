// Package projects is the room of tenancy: projects and their environments, as
// resources. Everything a user declares lives in one environment of one
// project.
//
// Types: Spec and EnvironmentSpec (what users write), Project, Environment.
// Interfaces needed: resource.Store; Occupants, which says what an environment
// still holds. Phases of a change: check the name -> plan -> commit.
//
// A project's ID is what other resources carry; its name, unique on the
// platform, is for people. The first project has both the ID and the name
// "default" and is never deleted. Who may do what in a project is the business
// of control/access.
package projects

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// The kinds of the room.
const (
	Kind            resource.Kind = "project"     // platform scope, prefix prj
	KindEnvironment resource.Kind = "environment" // project scope, prefix env
)

// Default names the project and DefaultEnvironment the environment that
// requests mean when they name none.
const (
	Default            = "default"
	DefaultEnvironment = "production"
)

// firstEnvironments are made with every project.
var firstEnvironments = [...]string{DefaultEnvironment, "staging"}

// Spec is what users write of a project.
type Spec struct {
	Title       string `json:"title,omitempty"` // for people; "": the name
	Description string `json:"description,omitempty"`
}

// EnvironmentSpec is what users write of an environment.
type EnvironmentSpec struct {
	Description string `json:"description,omitempty"`
}

// Status of projects and environments: they have none.
type Status struct{}

// Project is a tenant's space.
type Project = resource.Object[Spec, Status]

// Environment is one stage of a project, as production or staging.
type Environment = resource.Object[EnvironmentSpec, Status]

// Type describes projects to planning.
func Type() resource.Type {
	return resource.Type{
		Kind: Kind, Prefix: "prj", Scope: resource.ScopePlatform, CanonicalName: checkName,
		Normalize: func(_ string, raw json.RawMessage) (json.RawMessage, error) {
			var spec Spec
			err := resource.DecodeSpec(raw, &spec)
			if err != nil {
				return nil, err
			}
			if spec.Title, err = checkText("/title", spec.Title, 100); err != nil {
				return nil, err
			}
			if spec.Description, err = checkText("/description", spec.Description, 1000); err != nil {
				return nil, err
			}
			return json.Marshal(spec)
		},
	}
}

// EnvironmentType describes environments to planning.
func EnvironmentType() resource.Type {
	return resource.Type{
		Kind: KindEnvironment, Prefix: "env", Scope: resource.ScopeProject, CanonicalName: checkName,
		Normalize: func(_ string, raw json.RawMessage) (json.RawMessage, error) {
			var spec EnvironmentSpec
			err := resource.DecodeSpec(raw, &spec)
			if err != nil {
				return nil, err
			}
			if spec.Description, err = checkText("/description", spec.Description, 1000); err != nil {
				return nil, err
			}
			return json.Marshal(spec)
		},
	}
}

// nameShape keeps names usable in URLs, host names and files.
var nameShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

func checkName(name string) (string, error) {
	n := strings.ToLower(strings.TrimSpace(name))
	if !nameShape.MatchString(n) || strings.Contains(n, "--") {
		return "", fault.InvalidField("/name", fmt.Sprintf("%q cannot be a name", name),
			"use 1 to 40 lower-case letters, digits and single hyphens, beginning and ending with a letter or digit")
	}
	return n, nil
}

func checkText(pointer, text string, longest int) (string, error) {
	t := strings.TrimSpace(text)
	if utf8.RuneCountInString(t) > longest || !utf8.ValidString(t) ||
		strings.ContainsFunc(t, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
		return "", fault.InvalidField(pointer, fmt.Sprintf("the text is longer than %d characters or has control characters", longest), "use a shorter plain text")
	}
	return t, nil
}
