package domains

import (
	"fmt"

	"github.com/edgewright/edgewright/fault"
)

// TLSPolicy is what a domain asks of the TLS of its clients.
type TLSPolicy struct {
	Policy     string `json:"policy,omitempty"`      // PolicyModern or PolicyIntermediate; "": intermediate
	MinVersion string `json:"min_version,omitempty"` // "1.2" or "1.3"; "": the policy's
}

// The policies, after Mozilla's of the same names.
const (
	PolicyModern       = "modern"       // TLS 1.3
	PolicyIntermediate = "intermediate" // and 1.2, AEAD and forward secret
)

func (t *TLSPolicy) faults() []fault.Field {
	if t == nil {
		return nil
	}
	var faults []fault.Field
	switch t.Policy {
	case "", PolicyModern, PolicyIntermediate:
	default:
		faults = append(faults, fault.Field{Pointer: "/tls/policy", Detail: fmt.Sprintf("%q is not a policy", t.Policy), Fix: `write "modern" or "intermediate"`})
	}
	switch {
	case t.MinVersion != "" && t.MinVersion != "1.2" && t.MinVersion != "1.3":
		faults = append(faults, fault.Field{Pointer: "/tls/min_version", Detail: fmt.Sprintf("%q is not a version that edges speak", t.MinVersion), Fix: `write "1.2" or "1.3"`})
	case t.MinVersion == "1.2" && t.Policy == PolicyModern:
		faults = append(faults, fault.Field{Pointer: "/tls/min_version", Detail: "the policy modern is TLS 1.3 alone", Fix: `write "1.3", or the policy "intermediate"`})
	}
	return faults
}
