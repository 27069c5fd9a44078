package localca

import (
	"encoding/pem"
	"testing"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

// zlint's words on what this CA issues: root, intermediate, and leaves for a name
// that could be public, an internal one and an address.
func TestLint(t *testing.T) {
	ca := New(&memory{secrets: map[string][]byte{}}, nil)
	ca.ListsAt("http://control.example:8440/crl")
	seen := map[string]bool{}
	root, err := ca.RootPEM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	chains := map[string][]byte{"root": root}
	for _, names := range [][]string{{"shop.example.com", "*.shop.example.com"}, {"shop.localhost"}, {"127.0.0.1"}} {
		_, chain := issue(t, ca, names...)
		chains[names[0]] = []byte(chain)
	}
	for what, text := range chains {
		for i := 0; ; i++ {
			var block *pem.Block
			if block, text = pem.Decode(text); block == nil {
				break
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			for name, result := range zlint.LintCertificate(c).Results {
				if result.Status < lint.Notice {
					continue
				}
				if seen[name] = true; explained[name] != "" {
					continue
				}
				t.Errorf("%s, certificate %d: %s %s %s", what, i+1, result.Status, name, result.Details)
			}
		}
	}
	for name := range explained {
		if !seen[name] {
			t.Errorf("%s is explained and no longer found", name)
		}
	}
}

// explained are the findings that stay, and why. They come from the rules for
// public CAs, of which this is none.
var explained = map[string]string{
	"e_ca_country_name_missing":                                     "the CA is a machine's own: no organisation in a country stands behind it",
	"e_dnsname_not_valid_tld":                                       "names below .localhost and .internal are what it is for",
	"e_ext_san_contains_reserved_ip":                                "so are loopback and private addresses",
	"e_subject_contains_reserved_ip":                                "the common name repeats the first name, for people",
	"w_subject_common_name_included":                                "likewise; clients read the alternative names",
	"w_ext_subject_key_identifier_missing_sub_cert":                 "RFC 5280 recommends it for leaves, the Baseline Requirements advise against",
	"e_sub_cert_certificate_policies_missing":                       "there is no certificate policy to name",
	"e_sub_cert_cert_policy_empty":                                  "likewise",
	"e_sub_ca_certificate_policies_missing":                         "likewise",
	"e_invalid_ca_certificate_policies":                             "likewise",
	"e_sub_cert_aia_missing":                                        "the intermediate is always sent along, and who trusts the root has it",
	"w_sub_cert_aia_does_not_contain_issuing_ca_url":                "likewise",
	"w_sub_ca_aia_missing":                                          "likewise",
	"e_sub_ca_crl_distribution_points_missing":                      "an intermediate is not revoked: another root is made",
	"n_ca_digital_signature_not_set":                                "the root signs no OCSP answers",
	"w_root_ca_basic_constraints_path_len_constraint_field_present": "it bounds what a stolen intermediate can do",
	"n_ct_sct_policy_count_unsatisfied":                             "private certificates go into no public log",
}
