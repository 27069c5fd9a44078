package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/fault"
)

// ZoneTransfers says who a zone is given to and taken from, and how that stands.
type ZoneTransfers struct {
	Zone        string          `json:"zone"`
	Revision    int64           `json:"revision" doc:"Of the zone, for If-Match"`
	Serial      uint32          `json:"serial" doc:"Of the version that edges answer with; 0: not answered"`
	Out         *TransferOut    `json:"out,omitempty" doc:"Absent: nobody gets the zone"`
	In          *TransferIn     `json:"in,omitempty" doc:"Absent: its records are its own"`
	Copy        *TransferCopy   `json:"copy,omitempty" doc:"Of a secondary zone: how the copy stands"`
	Secondaries []TransferFetch `json:"secondaries" doc:"Who has asked for the zone, newest first. Edges tell once a minute. What a secondary got and what it did not are two entries; the latest 32 and 16 are kept"`
	Conditions  []Condition     `json:"conditions" doc:"Transferred: the copy is as the primary has it. Shared: secondaries get the zone. Served: edges answer"`
}

// TransferOut says who gets a zone whole. A key is always needed.
type TransferOut struct {
	Keys   []string `json:"keys" minItems:"1" maxItems:"8" doc:"TSIG keys, by name. Any of them will do; the first signs notices"`
	Allow  []string `json:"allow,omitempty" maxItems:"64" doc:"Addresses and ranges that may ask. Default: any, with a key"`
	Notify []string `json:"notify,omitempty" maxItems:"32" doc:"Servers that every edge tells of a new version (NOTIFY), as 192.0.2.1 or 192.0.2.1:53"`
}

// TransferIn says where a secondary zone comes from.
type TransferIn struct {
	Primaries []TransferPrimary `json:"primaries" minItems:"1" maxItems:"8" doc:"Asked in this order, the last good one first"`
}

// TransferPrimary is a server that a zone is taken over from.
type TransferPrimary struct {
	Address string `json:"address" maxLength:"64" doc:"As 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53. The control plane connects to it over TCP"`
	Key     string `json:"key,omitempty" maxLength:"254" doc:"TSIG key, by name. Default: transfers are not signed"`
}

// TransferCopy is how the copy of a secondary zone stands.
type TransferCopy struct {
	State       string     `json:"state" doc:"waiting (nothing has come yet), current, failing (the copy is served, no primary answers) or expired (edges answer SERVFAIL)"`
	Serial      uint32     `json:"serial" doc:"At the primary"`
	Records     int        `json:"records"`
	Primary     string     `json:"primary,omitempty" doc:"That answered last"`
	How         string     `json:"how,omitempty" doc:"Of the last change: axfr (whole) or ixfr (a difference)"`
	Bytes       int        `json:"bytes,omitempty" doc:"Of the last change"`
	ChangedAt   *time.Time `json:"changed_at,omitempty"`
	CheckedAt   *time.Time `json:"checked_at,omitempty" doc:"When a primary last said that it is the newest"`
	TriedAt     *time.Time `json:"tried_at,omitempty"`
	NextAttempt *time.Time `json:"next_attempt,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty" doc:"Unless a primary answers before"`
	Failures    int        `json:"failures,omitempty" doc:"Since the last success"`
	Reason      string     `json:"reason,omitempty" doc:"Of the last failure, in one word: Forbidden, Unreachable, TimedOut, Refused, BadKey, BadSignature, BadTime, Malformed, TooLarge, OlderSerial, NotServable"`
	Error       string     `json:"error,omitempty"`
	Fix         string     `json:"fix,omitempty"`
}

// TransferFetch is what edges last saw of a secondary.
type TransferFetch struct {
	Address string    `json:"address"`
	Key     string    `json:"key,omitempty" doc:"TSIG key, by name, when it is one of the zone's"`
	Kind    string    `json:"kind" doc:"axfr (whole) or ixfr (a difference)"`
	Outcome string    `json:"outcome" doc:"given, current (it had that version), or why it did not get the zone: broken, slow, later, expired, unsigned, unknown_key, bad_signature, bad_time, foreign_key, from_afar"`
	Serial  uint32    `json:"serial,omitempty" doc:"That it has, or was being given"`
	At      time.Time `json:"at"`
	Error   string    `json:"error,omitempty" doc:"When it did not get the zone"`
	Fix     string    `json:"fix,omitempty"`
}

// SetZoneTransfers replaces both directions.
type SetZoneTransfers struct {
	Out     *TransferOut `json:"out,omitempty" doc:"Absent: nobody gets the zone"`
	In      *TransferIn  `json:"in,omitempty" doc:"Absent: its records are its own"`
	Consent bool         `json:"consent,omitempty" doc:"To lose the zone's records when it becomes a secondary, or the copy when it ends being one"`
}

// RefreshZone asks for a look at the primaries now.
type RefreshZone struct {
	Whole bool `json:"whole,omitempty" doc:"Take the whole zone over, whatever its serial is"`
}

// ZoneTransfersAnswer holds a zone's transfers.
type ZoneTransfersAnswer struct {
	Transfers ZoneTransfers `json:"transfers"`
}

type setZoneTransfersInput struct {
	DomainPath
	InDryRun
	InMatch
	Body SetZoneTransfers
}

type refreshZoneInput struct {
	DomainPath
	InKey
	Body *RefreshZone `required:"false"`
}

func (s *Server) addZoneTransfers() {
	const tag, path = "Zones", infrastructure + "/domains/{domain}/zone/transfers"
	one := []answerDoc{{http.StatusOK, ZoneTransfersAnswer{}, ""}}
	add(s, op{
		method: http.MethodGet, path: path, id: "zone-transfers-get", tag: tag, summary: "Who a managed zone is given to and taken from",
		level: onProject, resource: access.Domains, verb: access.Read, answers: one,
	}, s.getZoneTransfers)
	add(s, op{
		method: http.MethodPut, path: path, id: "zone-transfers-set", tag: tag, summary: "Give a managed zone to secondaries, or take it from primaries",
		doc: "Both directions are replaced. A zone with primaries is a secondary: its records are theirs, and writing records here is refused. " +
			"Where DNSSEC is on for it, it is signed here; otherwise it is served as the primary has it, signatures included.",
		level: onProject, resource: access.Domains, verb: access.Write, answers: one,
	}, s.setZoneTransfers)
	add(s, op{
		method: http.MethodPost, path: path + "/refresh", id: "zone-transfers-refresh", tag: tag, summary: "Ask a secondary zone's primaries now",
		level: onProject, resource: access.Domains, verb: access.Write, audit: "zone.refresh", answers: []answerDoc{{http.StatusAccepted, ZoneTransfersAnswer{}, ""}},
	}, s.refreshZone)
}

// transferConditions are those that tell of transfers.
var transferConditions = []string{zones.Transferred, zones.Shared, zones.Served, zones.Signed}

func (s *Server) zoneTransfersAnswer(ctx context.Context, z zones.Zone, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	seen, err := s.traffic.Fetches(ctx, z.ID)
	if err != nil {
		return nil, err
	}
	out := ZoneTransfers{Zone: z.Name, Revision: z.Revision, Serial: z.Status.Serial, Secondaries: fetchesOf(seen), Conditions: []Condition{}}
	if t := z.Spec.Transfer; t != nil {
		out.Out = &TransferOut{Keys: append([]string{}, t.Keys...), Allow: t.Allow, Notify: t.Notify}
	}
	if sec := z.Spec.Secondary; sec != nil {
		out.In, out.Copy = &TransferIn{Primaries: []TransferPrimary{}}, copyOf(z.Status.Copy)
		for _, p := range sec.Primaries {
			out.In.Primaries = append(out.In.Primaries, TransferPrimary{Address: p.Address, Key: p.Key})
		}
	}
	for _, c := range conditionsOf(z.Status.Conditions) {
		if slices.Contains(transferConditions, c.Type) {
			out.Conditions = append(out.Conditions, c)
		}
	}
	return &answer{ETag: etag(z.Revision), Body: ZoneTransfersAnswer{out}}, nil
}

func copyOf(c *zones.Copy) *TransferCopy {
	if c == nil {
		return &TransferCopy{State: "waiting"}
	}
	out := &TransferCopy{
		State: "current", Serial: c.Serial, Records: c.Records, Primary: c.Primary, How: c.How, Bytes: c.Bytes, ChangedAt: c.ChangedAt, CheckedAt: c.CheckedAt,
		TriedAt: c.TriedAt, NextAttempt: c.NextAt, ExpiresAt: c.ExpiresAt, Failures: c.Failures, Reason: c.Reason, Error: c.Error, Fix: c.Fix,
	}
	switch {
	case c.Expired:
		out.State = "expired"
	case c.Digest == "":
		out.State = "waiting"
	case c.Failures > 0:
		out.State = "failing"
	}
	return out
}

func (s *Server) getZoneTransfers(ctx context.Context, c *call, in *DomainPath) (*answer, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	return s.zoneTransfersAnswer(ctx, z, err)
}

func (s *Server) setZoneTransfers(ctx context.Context, c *call, in *setZoneTransfersInput) (*answer, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return nil, err
	}
	t := zones.Transfers{Consent: in.Body.Consent}
	if o := in.Body.Out; o != nil {
		t.Out = &zones.Transfer{Keys: o.Keys, Allow: o.Allow, Notify: o.Notify}
	}
	if i := in.Body.In; i != nil {
		t.In = &zones.Secondary{}
		for _, p := range i.Primaries {
			t.In.Primaries = append(t.In.Primaries, zones.Primary{Address: p.Address, Key: p.Key})
		}
	}
	plan, err := s.options.Zones.PlanTransfers(ctx, c.project, c.environment, z.Name, t, c.ifRevision)
	if err != nil {
		return nil, transferFaults(err)
	}
	if err := s.mayCarryOut(c, plan); err != nil {
		return nil, err
	}
	if c.dryRun {
		return planAnswer(plan, nil)
	}
	z, err = s.options.Zones.SetTransfers(ctx, c.project, c.environment, z.Name, t, c.ifRevision, c.cause)
	return s.zoneTransfersAnswer(ctx, z, err)
}

// transferFaults moves the pointers of a fault from the zone's spec to the body, which
// names the two directions for who reads it.
func transferFaults(err error) error {
	var coded *fault.Error
	if !errors.As(err, &coded) || len(coded.Fields) == 0 {
		return err
	}
	fields := slices.Clone(coded.Fields)
	for i := range fields {
		p := &fields[i].Pointer
		for from, to := range map[string]string{"/transfer": "/out", "/secondary": "/in"} {
			if rest, ok := strings.CutPrefix(*p, from); ok {
				*p = to + rest
				break
			}
		}
	}
	return fault.InvalidFields(fields)
}

func (s *Server) refreshZone(ctx context.Context, c *call, in *refreshZoneInput) (*answer, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return nil, err
	}
	whole := in.Body != nil && in.Body.Whole
	c.target, c.detail = "zone "+z.ID, map[string]any{"whole": whole}
	z, err = s.options.Zones.AskRefresh(ctx, c.project, c.environment, z.Name, whole)
	return s.zoneTransfersAnswer(ctx, z, err)
}
