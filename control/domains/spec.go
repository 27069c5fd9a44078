package domains

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// kindCDN is the room next door; domains refer to it by name only.
const kindCDN resource.Kind = "cdn"

// kindCertificate is the other one; a domain's certificate has its name.
const kindCertificate resource.Kind = "certificate"

const defaultCDN = "default"

const (
	maxLabels   = 64
	maxLabelLen = 256
	maxHSTS     = 10 * 365 * 24 * 3600 // seconds
	preloadAge  = 31536000             // hstspreload.org asks for a year
)

// Type is the row of domains in the table of types.
func Type() resource.Type {
	return resource.Type{
		Kind:   Kind,
		Prefix: "dom",
		Scope:  resource.ScopeEnvironment,
		CanonicalName: func(name string) (string, error) {
			n, err := ParseName(name)
			return n.ASCII, err
		},
		Normalize: func(name string, raw json.RawMessage) (json.RawMessage, error) {
			spec, err := decodeSpec(name, raw)
			if err != nil {
				return nil, err
			}
			return spec.encode(), nil
		},
		Carry: carryLock,
		Guard: guard,
		References: func(raw json.RawMessage) []resource.Reference {
			var spec struct {
				CDN string `json:"cdn"`
			}
			if json.Unmarshal(raw, &spec) != nil || spec.CDN == "" {
				return nil
			}
			// A domain is added before anybody has configured "default".
			return []resource.Reference{{Kind: kindCDN, Name: spec.CDN, Optional: spec.CDN == defaultCDN}}
		},
	}
}

// ClaimType is the row of claims. They are made by verification alone: plans
// neither make nor undo them.
func ClaimType() resource.Type {
	return resource.Type{
		Kind:   KindClaim,
		Prefix: "clm",
		Scope:  resource.ScopePlatform,
		Normalize: func(name string, raw json.RawMessage) (json.RawMessage, error) {
			var spec ClaimSpec
			if err := resource.DecodeSpec(raw, &spec); err != nil {
				return nil, err
			}
			if spec.Domain != name || spec.DomainID == "" || spec.Project == "" {
				return nil, fault.New(fault.Invalid, "a claim names its domain, the domain's ID and its project")
			}
			return mustJSON(spec), nil
		},
		Derived: func(json.RawMessage) bool { return true },
	}
}

// decodeSpec decodes strictly, fills in defaults and validates.
func decodeSpec(name string, raw json.RawMessage) (Spec, error) {
	spec := Spec{Domain: name, CDN: defaultCDN, RedirectHTTPS: true, AutoConfigure: true}
	if err := resource.DecodeSpec(raw, &spec); err != nil {
		return spec, err
	}
	parsed, err := ParseName(spec.Domain)
	if err != nil {
		return spec, err
	}
	spec.Domain = parsed.ASCII
	var faults []fault.Field
	add := func(pointer, detail, fix string) {
		faults = append(faults, fault.Field{Pointer: pointer, Detail: detail, Fix: fix})
	}
	if own, err := ParseName(name); err == nil && own.ASCII != parsed.ASCII {
		add("/domain", fmt.Sprintf("the resource is named %s, its domain is %s", own.ASCII, parsed.ASCII), "a domain cannot be renamed: remove it and add the other")
	}
	if spec.CDN == "" {
		spec.CDN = defaultCDN
	}
	switch spec.Method {
	case "", MethodDNS, MethodEmail:
	case MethodFile:
		if parsed.Wildcard {
			add("/method", "a file proves one host, not a wildcard", `write "dns"`)
		}
	default:
		add("/method", fmt.Sprintf("%q is not a method", spec.Method), `write "dns", "file" or "email"`)
	}
	switch spec.DNS {
	case "", DNSManaged, DNSProvider, DNSManual:
	default:
		add("/dns", fmt.Sprintf("%q is no way to set records", spec.DNS), `write "managed" (a zone of ours), "provider" (we set them at your DNS provider) or "manual" (you set them)`)
	}
	switch {
	case spec.DNSAccount != "" && spec.DNS != DNSProvider:
		add("/dns_account", "credentials are for records at a DNS provider", `write "dns": "provider", or leave it out`)
	case len(spec.DNSAccount) > maxLabelLen || strings.ContainsFunc(spec.DNSAccount, unicode.IsControl):
		add("/dns_account", "this is no name of credentials", "write the name under which they are stored")
	}
	if spec.DNS != "" && spec.DNS != DNSManual && (parsed.Base == localhost || parsed.Below(localhost)) {
		add("/dns", "names below localhost have no records", "leave it out")
	}
	if h := spec.HSTS; h != nil {
		if h.MaxAge < 0 || h.MaxAge > maxHSTS {
			add("/hsts/max_age", fmt.Sprintf("%d seconds are out of range", h.MaxAge), fmt.Sprintf("write 0 to %d", maxHSTS))
		}
		if h.Preload && (h.MaxAge < preloadAge || !h.IncludeSubdomains) {
			add("/hsts/preload", "browsers preload only with a max_age of a year and include_subdomains", "set both, or leave preload out")
		}
		if h.Preload && !spec.RedirectHTTPS {
			add("/hsts/preload", "browsers preload only sites that redirect http to https", "set redirect_https, or leave preload out")
		}
	}
	faults = append(faults, spec.TLS.faults()...)
	if len(spec.Labels) > maxLabels {
		add("/labels", fmt.Sprintf("%d labels are more than %d", len(spec.Labels), maxLabels), "remove some")
	}
	for key, value := range spec.Labels {
		if key == "" || len(key)+len(value) > maxLabelLen {
			add("/labels", fmt.Sprintf("the label %.40q is empty or longer than %d characters", key, maxLabelLen), "shorten it")
		}
	}
	return spec, fault.InvalidFields(faults)
}

// withoutFormerMode is a stored spec without what only the way of setting records
// uses that a patch leaves behind.
func withoutFormerMode(stored, patch json.RawMessage) (json.RawMessage, error) {
	var change map[string]json.RawMessage
	var mode string
	if json.Unmarshal(patch, &change) != nil || change["dns"] == nil || json.Unmarshal(change["dns"], &mode) != nil || mode == DNSProvider {
		return stored, nil // what is wrong with it is said where it is applied
	}
	return resource.MergePatch(stored, json.RawMessage(`{"dns_account":null}`), "")
}

func (s Spec) encode() json.RawMessage { return mustJSON(s) }

// mustJSON encodes this room's own types, which hold nothing that JSON cannot.
func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("domains: " + err.Error())
	}
	return b
}
