// Package tsig keeps the keys that zone transfers are signed with (TSIG, RFC
// 8945).
//
// Types: Key (a resource of an environment, named as the key is on the wire),
// Spec, Status, Service, Reconciler. A key's secret is in the Vault, one for each
// generation that the spec has counted; it leaves it sealed for edges, to sign
// queries, and when an owner takes it out.
//
// Use cases: Service.Create, Replace (another secret), Export, Get, List, Delete;
// those that write have a Plan form.
//
// Phases of the reconciler: generation without a secret -> make one -> status;
// key gone -> its secrets go. So a key that is only declared gets its secret by
// itself.
package tsig

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Kind is the kind of TSIG keys; IDs begin with "tsk_", the resource's name is
// the key's.
const Kind resource.Kind = "tsigkey"

// Spec is a key as wanted.
type Spec struct {
	Algorithm string `json:"algorithm"` // edgeconfig.HMACSHA256 (default), ...
	// Generation is that of the secret; a higher number asks for another one.
	Generation int    `json:"generation"`
	Comment    string `json:"comment,omitempty"`
}

// Status is what is known of a key.
type Status struct {
	Generation int        `json:"generation,omitempty"` // of the secret there is; 0: none yet
	MadeAt     *time.Time `json:"made_at,omitempty"`
}

// Key is a key as stored.
type Key = resource.Object[Spec, Status]

// Bounds.
const (
	maxComment  = 500
	maxKeys     = 200 // of an environment: edges look a key up for every signed query
	minSecret   = 16
	maxSecret   = 128
	maxKeyBytes = 255
)

var algorithms = []string{edgeconfig.HMACSHA256, edgeconfig.HMACSHA384, edgeconfig.HMACSHA512}

// sizes are what RFC 8945 section 6 and RFC 2104 advise: as long as the digest.
var sizes = map[string]int{edgeconfig.HMACSHA256: 32, edgeconfig.HMACSHA384: 48, edgeconfig.HMACSHA512: 64}

// Type is the row of keys in the table of types.
func Type() resource.Type {
	return resource.Type{
		Kind: Kind, Prefix: "tsk", Scope: resource.ScopeEnvironment,
		CanonicalName: canonicalName,
		Normalize: func(_ string, raw json.RawMessage) (json.RawMessage, error) {
			spec, err := decode(raw)
			if err != nil {
				return nil, err
			}
			return encode(spec), nil
		},
		// A declaration that says nothing of the secret leaves it as it is.
		Carry: func(current, wanted json.RawMessage) json.RawMessage {
			was, err := decode(current)
			now, err2 := decode(wanted)
			if err != nil || err2 != nil {
				return wanted
			}
			now.Generation = max(now.Generation, was.Generation)
			return encode(now)
		},
	}
}

func canonicalName(name string) (string, error) {
	text := strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
	wire, err := edgeconfig.PackName(text)
	if err == nil {
		text, err = edgeconfig.UnpackName(wire)
	}
	if err != nil || len(wire) < 3 || len(text) > maxKeyBytes || strings.ContainsAny(text, " \t\\\"/@") {
		return "", fault.InvalidField("/name", fmt.Sprintf("%.80q is no name of a key", name), "write a domain name that says what the key joins, such as transfer.example.com")
	}
	return text, nil
}

func decode(raw json.RawMessage) (Spec, error) {
	spec := Spec{Algorithm: edgeconfig.HMACSHA256, Generation: 1}
	if err := resource.DecodeSpec(raw, &spec); err != nil {
		return spec, err
	}
	var fields []fault.Field
	if !slices.Contains(algorithms, spec.Algorithm) {
		fields = append(fields, fault.Field{Pointer: "/algorithm", Detail: fmt.Sprintf("%.40q is no algorithm of keys here", spec.Algorithm), Fix: "write " + strings.Join(algorithms, ", ")})
	}
	if spec.Generation < 1 || spec.Generation > 1<<30 {
		fields = append(fields, fault.Field{Pointer: "/generation", Detail: "the generation of the secret begins with 1", Fix: "leave it out"})
	}
	if len(spec.Comment) > maxComment {
		fields = append(fields, fault.Field{Pointer: "/comment", Detail: fmt.Sprintf("%d characters are more than %d", len(spec.Comment), maxComment), Fix: "shorten it"})
	}
	return spec, fault.InvalidFields(fields)
}

func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("tsig: a spec holds only what JSON can hold: " + err.Error())
	}
	return b
}

func secretName(id string, generation int) string {
	return string(Kind) + "/" + id + "/" + strconv.Itoa(generation)
}

// parseSecret reads a secret as keys are written everywhere: base64. Nothing of
// it is repeated.
func parseSecret(text string) ([]byte, error) {
	secret, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fault.InvalidField("/secret", "the secret is not base64", "copy it as it is in the primary's or secondary's configuration, or leave it out to have one made")
	}
	if len(secret) < minSecret || len(secret) > maxSecret {
		return nil, fault.InvalidField("/secret", fmt.Sprintf("the secret has %d bytes, and %d to %d are taken", len(secret), minSecret, maxSecret), "leave it out to have one made, or make one with tsig-keygen")
	}
	return secret, nil
}

func newSecret(algorithm string) []byte {
	secret := make([]byte, sizes[algorithm])
	rand.Read(secret)
	return secret
}
