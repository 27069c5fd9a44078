package compile

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones/tsig"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

type tsigSecrets map[int]string

func (s tsigSecrets) Secret(_ context.Context, _ string, generation int) ([]byte, error) {
	if text, ok := s[generation]; ok {
		return []byte(text), nil
	}
	return nil, fault.New(fault.NotFound, "none")
}

func TestTSIGKeysAreSealed(t *testing.T) {
	c := New(nil, edgeconfig.Platform{})
	c.SetSecrets(tsigSecrets{1: "0123456789abcdef", 2: "fedcba9876543210"})
	group := [32]byte{1}
	c.SetGroupKey("g1", group)
	event := func(typ resource.EventType, wanted, made int) resource.Event {
		spec, _ := json.Marshal(tsig.Spec{Algorithm: edgeconfig.HMACSHA256, Generation: wanted})
		status, _ := json.Marshal(tsig.Status{Generation: made})
		return resource.Event{Type: typ, Resource: resource.Resource{Meta: resource.Meta{Kind: tsig.Kind, ID: "tsk_1", Name: "transfer.example"}, Spec: spec, Status: status}}
	}
	opened := func(o []Output, key [32]byte) string {
		t.Helper()
		var k edgeconfig.TSIGKey
		if len(o) != 1 || json.Unmarshal(o[0].Body, &k) != nil || edgeconfig.ValidateTSIGKey(&k) != nil {
			t.Fatalf("%+v", o)
		}
		secret, err := secrets.OpenFor(key, edgeconfig.TSIGContext("tsk_1"), k.SecretSealed)
		if err != nil {
			t.Fatal(err)
		}
		return string(secret)
	}
	if o := c.Apply(event(resource.Put, 1, 0)); o != nil || c.Problems()["tsk_1"] == "" {
		t.Errorf("before its secret is made: %v", o)
	}
	if got := opened(c.Apply(event(resource.Status, 1, 1)), group); got != "0123456789abcdef" || c.Problems()["tsk_1"] != "" {
		t.Errorf("%q", got)
	}
	if o := c.Apply(event(resource.Put, 2, 1)); o != nil {
		t.Errorf("what is published stays while another secret is made: %v", o)
	}
	if got := opened(c.Apply(event(resource.Status, 2, 2)), group); got != "fedcba9876543210" {
		t.Errorf("%q", got)
	}
	other := [32]byte{2}
	again := slices.DeleteFunc(c.SetGroupKey("g2", other), func(o Output) bool { return o.Key != "tsig/tsk_1" })
	if got := opened(again, other); got != "fedcba9876543210" {
		t.Errorf("%q", got)
	}
	if got := said(c.Apply(event(resource.Deleted, 2, 2))); !slices.Equal(got, []string{"-tsig/tsk_1"}) {
		t.Errorf("%v", got)
	}
}
