package api

import (
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
)

// Certificate is a certificate and the state of its issuance. Its key is never
// shown.
type Certificate struct {
	ID          string      `json:"id"`
	Domain      string      `json:"domain" doc:"The domain it was made for"`
	Domains     []string    `json:"domains" doc:"What it is wanted for"`
	Names       []string    `json:"names" doc:"What it is valid for"`
	Project     string      `json:"project_id"`
	Environment string      `json:"environment"`
	Revision    int64       `json:"revision"`
	CreatedAt   time.Time   `json:"created_at"`
	UpdatedAt   time.Time   `json:"updated_at"`
	Type        string      `json:"type" doc:"lets_encrypt, local or custom"`
	AutoRenew   bool        `json:"auto_renew"`
	KeyType     string      `json:"key_type,omitempty"`
	State       string      `json:"state" doc:"none, issuing, valid, expiring, expired, failed or external"`
	Step        string      `json:"step,omitempty" doc:"What is being done"`
	StartedAt   *time.Time  `json:"started_at,omitempty" doc:"When the attempt under way began"`
	Issuer      string      `json:"issuer,omitempty"`
	NotBefore   *time.Time  `json:"not_before,omitempty"`
	NotAfter    *time.Time  `json:"not_after,omitempty"`
	DaysLeft    *int        `json:"days_left,omitempty"`
	Serial      string      `json:"serial,omitempty"`
	Fingerprint string      `json:"fingerprint,omitempty" doc:"Lower-case hex SHA-256 of the leaf"`
	Failures    int         `json:"failures,omitempty" doc:"Since the last success"`
	Reason      string      `json:"reason,omitempty" doc:"Why the last attempt failed"`
	Fix         string      `json:"fix,omitempty" doc:"What to do about it"`
	NextAttempt *time.Time  `json:"next_attempt,omitempty"`
	RenewAt     *time.Time  `json:"renew_at,omitempty"`
	Conditions  []Condition `json:"conditions"`
}

// Provision asks for a certificate.
type Provision struct {
	Type      string `json:"type,omitempty" doc:"lets_encrypt, local, custom or auto. Default: auto" maxLength:"20"`
	AutoRenew *bool  `json:"auto_renew,omitempty" doc:"Default: true"`
	ChainPEM  string `json:"chain_pem,omitempty" doc:"For custom: the chain, leaf first" maxLength:"131072"`
	KeyPEM    string `json:"key_pem,omitempty" doc:"For custom: the leaf's private key. It is stored encrypted and never shown" maxLength:"32768"`
}

// Provisioned is what became of it. With operation, issuance goes on.
type Provisioned struct {
	Certificate Certificate `json:"certificate"`
	ExpiresAt   *time.Time  `json:"expires_at" doc:"Null until there is a certificate"`
	Operation   *Operation  `json:"operation,omitempty"`
}

// CertificateAnswer holds one certificate.
type CertificateAnswer struct {
	Certificate Certificate `json:"certificate"`
}

// CertificateList is a page of certificates.
type CertificateList struct {
	Certificates []Certificate `json:"certificates"`
	NextCursor   string        `json:"next_cursor"`
}

type provisionInput struct {
	domainPath
	InDryRun
	InKey
	Body Provision
}

func (s *Server) addCertificates() {
	const tag, path = "Certificates", infrastructure + "/ssl"
	add(s, op{
		method: http.MethodGet, path: path, id: "certificates-list", tag: tag, summary: "Certificates of an environment",
		level: onProject, resource: access.Certificates, verb: access.Read, answers: []answerDoc{{http.StatusOK, CertificateList{}, ""}},
	}, s.listCertificates)
	add(s, op{
		method: http.MethodGet, path: path + "/{domain}", id: "certificates-get", tag: tag, summary: "A domain's certificate",
		level: onProject, resource: access.Certificates, verb: access.Read, answers: []answerDoc{{http.StatusOK, CertificateAnswer{}, ""}},
	}, s.getCertificate)
	add(s, op{
		method: http.MethodPost, path: path + "/{domain}", id: "certificates-provision", tag: tag, summary: "Provision, upload or renew a domain's certificate",
		doc:   "Waits for issuance for up to a minute; then it goes on, and the answer is 202 with an operation to watch.",
		level: onProject, resource: access.Certificates, verb: access.Write, timeout: 90 * time.Second,
		answers: []answerDoc{{http.StatusOK, Provisioned{}, "There is a certificate"}, {http.StatusAccepted, Provisioned{}, "Issuance goes on"}},
	}, s.provision)
	add(s, op{
		method: http.MethodDelete, path: path + "/{domain}", id: "certificates-remove", tag: tag, summary: "Remove a domain's certificate",
		level: onProject, resource: access.Certificates, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.removeCertificate)
}
