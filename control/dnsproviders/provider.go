package dnsproviders

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Kind is the kind of DNS providers; IDs begin with "dnsp_".
const Kind resource.Kind = "dnsprovider"

// Spec is a provider as wanted.
type Spec struct {
	Driver string `json:"driver"`
	// Credentials is the generation of the credentials in the Vault; it grows
	// each time they are replaced. 0: there are none.
	Credentials int `json:"credentials,omitempty"`
}

// Status is what the last test found, or that there is nothing to test.
type Status struct {
	CheckedAt  *time.Time           `json:"checked_at,omitempty"`
	Generation int                  `json:"generation,omitempty"` // of the credentials that this is of
	Zones      int                  `json:"zones"`
	Conditions []resource.Condition `json:"conditions,omitempty"`
}

// Ready is the condition that there are credentials and the provider accepts them.
const Ready = "Ready"

// Provider is a DNS provider as stored.
type Provider = resource.Object[Spec, Status]

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Type is the kind's row in the table of types.
func Type(drivers []DriverType) resource.Type {
	return resource.Type{
		Kind: Kind, Prefix: "dnsp", Scope: resource.ScopeEnvironment,
		CanonicalName: canonicalName,
		Normalize: func(_ string, raw json.RawMessage) (json.RawMessage, error) {
			var spec Spec
			if err := resource.DecodeSpec(raw, &spec); err != nil {
				return nil, err
			}
			if _, err := driverOf(drivers, spec.Driver); err != nil {
				return nil, err
			}
			if spec.Credentials < 0 {
				return nil, fault.InvalidField("/credentials", "the generation of credentials is not negative", "leave it out, and set the credentials themselves")
			}
			return spec.encode(), nil
		},
		Carry: carryCredentials,
		Guard: guardDriver,
	}
}

// carryCredentials keeps the credentials that are stored: a declaration does not
// have them, and an earlier state had others, which are forgotten.
func carryCredentials(current, wanted json.RawMessage) json.RawMessage {
	var is, then Spec
	if json.Unmarshal(current, &is) != nil || json.Unmarshal(wanted, &then) != nil {
		return wanted
	}
	then.Credentials = is.Credentials
	return then.encode()
}

// guardDriver keeps credentials with the driver that they were given for: whoever may
// change a plan need not know them, and could have them sent to another provider.
func guardDriver(name string, before, after json.RawMessage) error {
	var is, then Spec
	if after == nil || json.Unmarshal(before, &is) != nil || json.Unmarshal(after, &then) != nil || is.Driver == then.Driver {
		return nil
	}
	return fault.New(fault.Conflict, "its credentials are for the driver %q, so that it cannot become one for %q: add another provider (`edgewright dns providers add NAME --driver %s`) and name that one where this one is used, or remove this one first", is.Driver, then.Driver, then.Driver).About("dns provider " + name)
}

func canonicalName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if !nameForm.MatchString(name) {
		return "", fault.InvalidField("/name", fmt.Sprintf("%q is no name", Short(name)), "use 1 to 63 letters, digits and hyphens, such as cloudflare-main")
	}
	return name, nil
}

func (s Spec) encode() json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic("dnsproviders: a spec holds only what JSON can hold: " + err.Error())
	}
	return b
}

func driverOf(drivers []DriverType, name string) (DriverType, error) {
	var names []string
	for _, d := range drivers {
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	return DriverType{}, fault.InvalidField("/driver", fmt.Sprintf("there is no driver %q", Short(name)), "use one of "+strings.Join(names, ", "))
}

// check holds credentials to what the driver needs. No value is ever repeated in
// what it says.
func (d DriverType) check(c Credentials) error {
	var fields []fault.Field
	for _, f := range d.Fields {
		value := c[f.Name]
		pointer := "/credentials/" + f.Name
		switch {
		case value == "" && f.Required:
			fields = append(fields, fault.Field{Pointer: pointer, Detail: d.Title + " needs it", Fix: f.Help})
		case value != "" && f.Check != nil:
			if detail, fix := f.Check(value); detail != "" {
				fields = append(fields, fault.Field{Pointer: pointer, Detail: detail, Fix: fix})
			}
		}
	}
	for name := range c {
		if !slices.ContainsFunc(d.Fields, func(f Field) bool { return f.Name == name }) {
			var names []string
			for _, f := range d.Fields {
				names = append(names, f.Name)
			}
			fields = append(fields, fault.Field{Pointer: "/credentials/" + Short(name), Detail: d.Title + " has no such credential", Fix: "it takes " + strings.Join(names, ", ")})
		}
	}
	slices.SortFunc(fields, func(a, b fault.Field) int { return strings.Compare(a.Pointer, b.Pointer) })
	return fault.InvalidFields(fields)
}

// secretName is where a generation of credentials is in the Vault.
func secretName(id string, generation int) string {
	return fmt.Sprintf("%s/%s/%d", Kind, id, generation)
}
