// Package route53 is the driver for Amazon Route 53.
//
// Types: Driver. A change of an RRset is a DELETE of what is there, in the words
// Route 53 has for it, and a CREATE, inside one batch, which Route 53 carries out
// as a whole and only if nothing has changed in between. Aliases and routed sets
// (weighted, by latency, by place, failover) are read, and left alone.
//
// Throttling and PriorRequestNotComplete are waited out by the SDK's retryer.
package route53

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
)

// Name is the driver's.
const Name = "route53"

// signingRegion is where Route 53, which is global, has requests signed for.
const signingRegion = "us-east-1"

const attempts = 6

// Options of the driver.
type Options struct {
	HTTP    *http.Client
	BaseURL string                                       // "": the public API
	Delay   func(attempt int, cause error) time.Duration // between attempts; nil: the SDK's, exponential with jitter
}

// Driver speaks for one access key.
type Driver struct{ api *sdk.Client }

// Type returns the driver's row of the table.
func Type(o Options) dnsproviders.DriverType {
	return dnsproviders.DriverType{
		Name: Name, Title: "Amazon Route 53",
		Fields: []dnsproviders.Field{
			{Name: "access_key_id", Required: true, Check: checkKeyID, Help: "Access key ID of an IAM user that may route53:ListHostedZones, ListResourceRecordSets, ChangeResourceRecordSets and GetChange"},
			{Name: "secret_access_key", Required: true, Secret: true, Check: checkSecret, Help: "The access key's secret, shown once when the key was made"},
			dnsproviders.APIURLField("https://route53.amazonaws.com"),
		},
		Open: func(c dnsproviders.Credentials) (dnsproviders.Driver, error) {
			at := o
			at.BaseURL = cmp.Or(c[dnsproviders.APIURL], o.BaseURL)
			return New(c["access_key_id"], c["secret_access_key"], at), nil
		},
	}
}

var (
	keyIDForm  = regexp.MustCompile(`^AKIA[A-Z0-9]{12,124}$`)
	secretForm = regexp.MustCompile(`^[A-Za-z0-9/+=]{40}$`)
)

func checkKeyID(id string) (detail, fix string) {
	switch {
	case strings.HasPrefix(id, "ASIA"):
		return "this is a temporary key, which ends by itself", "make an access key of an IAM user; its ID begins with AKIA"
	case !keyIDForm.MatchString(id):
		return "this is no access key ID, which begins with AKIA and has 16 or more capital letters and digits", "copy it again from the IAM console"
	}
	return "", ""
}

func checkSecret(secret string) (detail, fix string) {
	if !secretForm.MatchString(secret) {
		return "this is no secret access key, which has 40 letters, digits, / and +", "copy it again, or make a new access key"
	}
	return "", ""
}

// New returns a driver for an access key.
func New(keyID, secret string, o Options) *Driver {
	options := sdk.Options{
		Region: signingRegion,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret, Source: "edgewright"}, nil
		}),
		Retryer: retry.NewStandard(func(s *retry.StandardOptions) {
			s.MaxAttempts = attempts
			if o.Delay != nil {
				s.Backoff = retry.BackoffDelayerFunc(func(attempt int, cause error) (time.Duration, error) { return o.Delay(attempt, cause), nil })
			}
		}),
	}
	if o.HTTP != nil {
		options.HTTPClient = o.HTTP
	}
	if o.BaseURL != "" {
		options.BaseEndpoint = aws.String(o.BaseURL)
	}
	return &Driver{sdk.New(options)}
}

// Abilities: the types Route 53 knows.
func (d *Driver) Abilities() dnsplan.Abilities {
	var known []string
	for _, t := range types.RRType("").Values() {
		known = append(known, string(t))
	}
	return dnsplan.Abilities{Types: known}
}

// MaxBatch keeps below Route 53's bounds of 1,000 records and 32,000 characters
// in a batch.
func (d *Driver) MaxBatch() int { return 100 }

// Zones lists the public hosted zones.
func (d *Driver) Zones(ctx context.Context) ([]dnsproviders.Zone, error) {
	zones := []dnsproviders.Zone{}
	in := &sdk.ListHostedZonesInput{}
	for {
		out, err := d.api.ListHostedZones(ctx, in)
		if err != nil {
			return nil, trouble(err)
		}
		for _, z := range out.HostedZones {
			if z.Config != nil && z.Config.PrivateZone {
				continue
			}
			name, err := dnsplan.CanonicalName(nameIn(aws.ToString(z.Name)))
			if err != nil {
				continue
			}
			id := strings.TrimPrefix(aws.ToString(z.Id), "/hostedzone/")
			zones = append(zones, dnsproviders.Zone{Zone: dnsplan.Zone{ID: id, Name: name}})
		}
		if !out.IsTruncated {
			return zones, nil
		}
		in.Marker = out.NextMarker
	}
}

// Records lists the RRsets of a zone.
func (d *Driver) Records(ctx context.Context, zone dnsplan.Zone) ([]dnsplan.RRset, error) {
	found, err := d.list(ctx, zone, "")
	return setsOf(found), err
}

// RecordsAt lists the RRsets of a name.
func (d *Driver) RecordsAt(ctx context.Context, zone dnsplan.Zone, name string) ([]dnsplan.RRset, error) {
	found, err := d.list(ctx, zone, name)
	return setsOf(found), err
}

// list reads a zone, or one name of it.
func (d *Driver) list(ctx context.Context, zone dnsplan.Zone, name string) ([]types.ResourceRecordSet, error) {
	in := &sdk.ListResourceRecordSetsInput{HostedZoneId: aws.String(zone.ID)}
	if name != "" {
		in.StartRecordName = aws.String(nameOut(name))
	}
	var all []types.ResourceRecordSet
	for {
		out, err := d.api.ListResourceRecordSets(ctx, in)
		if err != nil {
			return nil, trouble(err)
		}
		for _, s := range out.ResourceRecordSets {
			if name != "" && nameIn(aws.ToString(s.Name)) != name {
				return all, nil // Route 53 lists in order: no more of this name
			}
			all = append(all, s)
		}
		if !out.IsTruncated {
			return all, nil
		}
		in.StartRecordName, in.StartRecordType, in.StartRecordIdentifier = out.NextRecordName, out.NextRecordType, out.NextRecordIdentifier
	}
}

// setOf turns a record set into the room's form.
func setOf(s types.ResourceRecordSet) dnsplan.RRset {
	set := dnsplan.RRset{Name: nameIn(aws.ToString(s.Name)), Type: string(s.Type), TTL: int(aws.ToInt64(s.TTL))}
	for _, r := range s.ResourceRecords {
		set.Values = append(set.Values, valueIn(s.Type, aws.ToString(r.Value)))
	}
	switch {
	case s.AliasTarget != nil:
		set.Special = "an alias to " + strings.TrimSuffix(aws.ToString(s.AliasTarget.DNSName), ".")
	case s.SetIdentifier != nil:
		set.Special = "sets that are chosen from by a routing policy"
	case s.TrafficPolicyInstanceId != nil:
		set.Special = "a set made by a traffic policy"
	}
	canonical, err := set.Canonical()
	if err != nil {
		set.Special = "a set that Edgewright does not read"
		slices.Sort(set.Values)
		return set
	}
	return canonical
}

// setsOf joins routed sets of one key into one set, which is special.
func setsOf(found []types.ResourceRecordSet) []dnsplan.RRset {
	sets := make([]dnsplan.RRset, 0, len(found))
	at := map[dnsplan.Key]int{}
	for _, f := range found {
		s := setOf(f)
		i, had := at[s.Key()]
		if !had {
			at[s.Key()] = len(sets)
			sets = append(sets, s)
			continue
		}
		sets[i].Values = append(sets[i].Values, s.Values...)
		slices.Sort(sets[i].Values)
		sets[i].Special = cmp.Or(sets[i].Special, s.Special, "several sets")
	}
	return sets
}

// manyNames is from when on reading the zone is cheaper than reading names.
const manyNames = 5

// Apply makes the changes in one batch.
func (d *Driver) Apply(ctx context.Context, zone dnsplan.Zone, changes []dnsplan.Change) (string, error) {
	have, err := d.current(ctx, zone, changes)
	if err != nil {
		return "", err
	}
	var batch []types.Change
	for _, c := range changes {
		old, exists := have[c.Key()]
		set := dnsplan.RRset{}
		if exists {
			set = setOf(old)
		}
		switch {
		case exists && c.After != nil && set.Equal(*c.After), !exists && c.After == nil:
			continue // an answer that was lost: it is done
		case exists != (c.Before != nil), exists && !set.Equal(*c.Before), set.Special != "":
			return "", &dnsproviders.Error{Reason: dnsproviders.Moved, Message: fmt.Sprintf("%s is not as it was when the plan was made", c.Key()), Fix: "make a new plan"}
		}
		if exists {
			batch = append(batch, types.Change{Action: types.ChangeActionDelete, ResourceRecordSet: &old})
		}
		if c.After != nil {
			batch = append(batch, types.Change{Action: types.ChangeActionCreate, ResourceRecordSet: sdkSet(*c.After)})
		}
	}
	if len(batch) == 0 {
		return "", nil
	}
	out, err := d.api.ChangeResourceRecordSets(ctx, &sdk.ChangeResourceRecordSetsInput{
		HostedZoneId: aws.String(zone.ID), ChangeBatch: &types.ChangeBatch{Comment: aws.String("Edgewright"), Changes: batch},
	})
	if err != nil {
		return "", trouble(err)
	}
	if out.ChangeInfo == nil {
		return "", nil
	}
	return strings.TrimPrefix(aws.ToString(out.ChangeInfo.Id), "/change/"), nil
}

// current reads what the changes concern, in Route 53's own words.
func (d *Driver) current(ctx context.Context, zone dnsplan.Zone, changes []dnsplan.Change) (map[dnsplan.Key]types.ResourceRecordSet, error) {
	names := map[string]bool{}
	for _, c := range changes {
		names[c.Key().Name] = true
	}
	if len(names) > manyNames {
		names = map[string]bool{"": true}
	}
	have := map[dnsplan.Key]types.ResourceRecordSet{}
	for name := range names {
		found, err := d.list(ctx, zone, name)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			have[setOf(s).Key()] = s
		}
	}
	return have, nil
}

// sdkSet turns a set into Route 53's form.
func sdkSet(s dnsplan.RRset) *types.ResourceRecordSet {
	out := &types.ResourceRecordSet{Name: aws.String(nameOut(s.Name)), Type: types.RRType(s.Type), TTL: aws.Int64(int64(s.TTL))}
	for _, v := range s.Values {
		out.ResourceRecords = append(out.ResourceRecords, types.ResourceRecord{Value: aws.String(valueOut(s.Type, v))})
	}
	return out
}

// Settled asks whether all of Route 53's name servers have a change.
func (d *Driver) Settled(ctx context.Context, ticket string) (bool, error) {
	out, err := d.api.GetChange(ctx, &sdk.GetChangeInput{Id: aws.String(ticket)})
	if err != nil {
		return false, trouble(err)
	}
	if out.ChangeInfo == nil {
		return false, trouble(errors.New("an answer without a change"))
	}
	return out.ChangeInfo.Status == types.ChangeStatusInsync, nil
}
