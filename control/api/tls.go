package api

import "github.com/edgewright/edgewright/control/domains"

// TLS is what a domain asks of its clients' TLS.
type TLS struct {
	Policy     string `json:"policy,omitempty" doc:"modern (TLS 1.3) or intermediate (and 1.2). Default: intermediate" maxLength:"20"`
	MinVersion string `json:"min_version,omitempty" doc:"1.2 or 1.3. Default: the policy's" maxLength:"8"`
}

// wanted is nil for the default.
func (t *TLS) wanted() *TLS {
	if t == nil || *t == (TLS{}) {
		return nil
	}
	return t
}

func tlsOf(t *domains.TLSPolicy) *TLS {
	if t == nil {
		return nil
	}
	return &TLS{Policy: t.Policy, MinVersion: t.MinVersion}
}
