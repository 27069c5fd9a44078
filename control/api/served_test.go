package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

func TestServedAndScore(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	a.post(infrastructure+"/domains", AddDomain{Domain: "shop.localhost", Origin: "http://127.0.0.1:3000"}).want(http.StatusCreated, &DomainAdded{})
	var made Provisioned
	a.post(infrastructure+"/ssl/shop.localhost", Provision{}).want(http.StatusOK, &made)
	path := infrastructure + "/ssl/shop.localhost"
	a.get(path+"/score").want(http.StatusServiceUnavailable, &Problem{})
	a.get(infrastructure+"/ssl/nobody.localhost/score").want(http.StatusNotFound, &Problem{})

	good := edgeconfig.Served{
		Name: "shop.localhost", Fingerprint: made.Certificate.Fingerprint, NotAfter: time.Now().Add(time.Hour).Unix(), Chain: edgeconfig.ChainPrivate, Key: "ECDSA 256", Signature: "ECDSA-SHA256",
		Offers: []edgeconfig.Offer{{Version: "1.3", Cipher: "TLS_AES_128_GCM_SHA256", Group: "X25519MLKEM768"}, {Version: "1.2", Cipher: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}},
	}
	other := good
	other.Fingerprint, other.Problem, other.HSTS = "00", "another certificate is served than the one in force", "max-age=31536000"
	e.fleet.serve(made.Certificate.ID, good, other)
	var got CertificateAnswer
	a.get(path).want(http.StatusOK, &got)
	served := got.Certificate.Served
	if len(served) != 2 || !served[0].Current || served[0].Chain != "private" || len(served[0].Offers) != 2 || served[1].Current || served[1].Problem == "" || served[0].NotAfter == nil {
		t.Errorf("served: %+v", served)
	}
	var score ScoreAnswer
	a.get(path+"/score").want(http.StatusOK, &score)
	if score.Score.Grade != "T" || score.Score.Ignoring != "A" || score.Score.Number != 93 || len(score.Edges) != 2 || score.Domain != "shop.localhost" {
		t.Errorf("score: %+v", score)
	}
	good.Chain, good.HSTS = edgeconfig.ChainTrusted, "max-age=31536000"
	bad := good
	bad.Offers = append([]edgeconfig.Offer{{Version: "1.0", Cipher: "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"}}, good.Offers...)
	e.fleet.serve(made.Certificate.ID, good, bad, good)
	a.get(path+"/score").want(http.StatusOK, &score)
	if score.Score.Grade != "B" || score.Edges[0].Grade != "A+" {
		t.Errorf("the worst of three: %+v", score)
	}
}
