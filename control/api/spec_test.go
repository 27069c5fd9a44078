package api

import (
	"encoding/json"
	"net/http"
	"testing"
)

// The bodies of the specification, to the letter.
func TestSpecification(t *testing.T) {
	e := newEnv(t)
	a := e.admin()

	var configured map[string]json.RawMessage
	a.post("/api/v1/infrastructure/cdn", `{"origins":[{"name":"main","url":"http://127.0.0.1:3000"}],"cache_rules":[]}`).
		want(http.StatusOK, &configured)
	if configured["cdn_deployment"] == nil {
		t.Fatalf("%v", configured)
	}

	var added struct {
		Config   Domain `json:"domain_config"`
		Required *bool  `json:"verification_required"`
	}
	r := a.post("/api/v1/infrastructure/domains", `{"domain":"shop.localhost","auto_configure":true}`).want(http.StatusCreated, &added)
	if added.Required == nil || *added.Required || added.Config.Domain != "shop.localhost" || added.Config.Origin != "http://127.0.0.1:3000" ||
		added.Config.URL != "https://shop.localhost:8443" || added.Config.Verification.Status != "not_required" || added.Config.Project != "default" ||
		added.Config.Environment != "production" {
		t.Fatalf("%s", r.body)
	}
	if r.header.Get("ETag") != etag(added.Config.Revision) || r.header.Get("Location") != "/api/v1/infrastructure/domains/shop.localhost" {
		t.Fatalf("%v", r.header)
	}

	r = a.post("/api/v1/infrastructure/domains", `{"domain":"Shop.Example.ORG.","auto_configure":true}`).want(http.StatusCreated, &added)
	if !*added.Required || added.Config.Status != domainPending || len(added.Config.Verification.Records) == 0 || added.Config.Verification.File == nil {
		t.Fatalf("%s", r.body)
	}
	var verified struct {
		Verified *bool       `json:"verified"`
		Records  []DNSRecord `json:"dns_records"`
	}
	a.post("/api/v1/infrastructure/domains/shop.example.org/verify", `{"method":"dns"}`).want(http.StatusOK, &verified)
	if verified.Verified == nil || *verified.Verified || len(verified.Records) == 0 || verified.Records[0].Type != "TXT" || len(verified.Records[0].Seen) == 0 {
		t.Fatalf("%+v", verified)
	}
	a.post("/api/v1/infrastructure/domains/shop.example.org/verify", `{"method":"file"}`).want(http.StatusOK)
	a.post("/api/v1/infrastructure/domains/shop.example.org/verify", `{"method":"email"}`).refused(http.StatusServiceUnavailable, "unavailable")
	e.dns.set(verified.Records[0].FullName, verified.Records[0].Value)
	a.post("/api/v1/infrastructure/domains/shop.example.org/verify", `{"method":"dns"}`).want(http.StatusOK, &verified)
	if !*verified.Verified {
		t.Fatalf("the record is published, but %+v", verified)
	}

	var list struct {
		Domains []Domain `json:"domains"`
		Next    *string  `json:"next_cursor"`
	}
	a.get("/api/v1/infrastructure/domains").want(http.StatusOK, &list)
	if len(list.Domains) != 2 || list.Next == nil {
		t.Fatalf("%+v", list)
	}

	var provisioned struct {
		Certificate Certificate `json:"certificate"`
		ExpiresAt   *string     `json:"expires_at"`
	}
	r = a.post("/api/v1/infrastructure/ssl/shop.localhost", `{"type":"lets_encrypt","auto_renew":true}`).want(http.StatusOK, &provisioned)
	if provisioned.Certificate.State != "valid" || provisioned.ExpiresAt == nil || provisioned.Certificate.Type != "local" || *provisioned.Certificate.DaysLeft < 1 {
		t.Fatalf("%s", r.body)
	}
	a.get("/api/v1/infrastructure/domains/shop.localhost").want(http.StatusOK, &added)
	if added.Config.Status != domainActive || added.Config.Certificate.State != "valid" {
		t.Fatalf("%+v", added.Config)
	}

	var purged map[string]any
	a.post("/api/v1/infrastructure/cdn/purge", `{"paths":["/a","/img/*"],"purge_all":false}`).want(http.StatusOK, &purged)
	if purged["purged_count"] != 7.0 || purged["purge_id"] == "" {
		t.Fatalf("%v", purged)
	}
}
