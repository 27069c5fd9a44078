package zones

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
)

// kindTSIG is the kind of the keys that transfers are signed with; their room is
// package tsig.
const kindTSIG resource.Kind = "tsigkey"

// Transfer says who gets a zone whole from our edges, and who is told of its
// changes. A key is always needed: an address proves little, and a zone tells
// much.
type Transfer struct {
	Keys   []string `json:"keys"`             // names of TSIG keys; any will do, and the first signs notices
	Allow  []string `json:"allow,omitempty"`  // ranges or addresses that may ask; none: from anywhere, with a key
	Notify []string `json:"notify,omitempty"` // "192.0.2.1:53": told of each new version
}

// Secondary says that a zone is taken over from its primaries. Its records are
// theirs; nobody changes them here.
type Secondary struct {
	Primaries []Primary `json:"primaries"` // asked in this order, the last good one first
}

// Primary is a server that a zone is taken over from.
type Primary struct {
	Address string `json:"address"`       // "192.0.2.1:53"
	Key     string `json:"key,omitempty"` // name of a TSIG key; "": not signed
}

// Transferred is the condition that a secondary zone is as its primary has it;
// Shared, that secondaries get the zone from here.
const (
	Transferred = "Transferred"
	Shared      = "Shared"
)

// Copy is what is known of the copy of a secondary zone. Package secondary writes
// it, and nobody else.
type Copy struct {
	Primaries string `json:"primaries,omitempty"` // what the spec said of them when they were asked last
	Digest    string `json:"digest,omitempty"`    // of the copy; "": there is none
	Serial    uint32 `json:"serial"`              // of the copy, at the primary
	Records   int    `json:"records"`
	Primary   string `json:"primary,omitempty"` // that it came from
	How       string `json:"how,omitempty"`     // axfr or ixfr, the last time that something came
	Bytes     int    `json:"bytes,omitempty"`   // that came then
	// ChangedAt is when the copy came, CheckedAt when a primary last said that it is
	// the newest, TriedAt when one was last asked.
	ChangedAt *time.Time `json:"changed_at,omitempty"`
	CheckedAt *time.Time `json:"checked_at,omitempty"`
	TriedAt   *time.Time `json:"tried_at,omitempty"`
	NextAt    *time.Time `json:"next_at,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	Expired   bool       `json:"expired,omitempty"` // edges do not answer from it
	Failures  int        `json:"failures,omitempty"`
	Reason    string     `json:"reason,omitempty"` // of the last failure, one word
	Error     string     `json:"error,omitempty"`
	Fix       string     `json:"fix,omitempty"`
	// Asked is when somebody last wanted a look before its time: a primary by its
	// notice, or a user, who may want the whole zone again.
	Asked *time.Time `json:"asked,omitempty"`
	Whole bool       `json:"whole,omitempty"`
}

// Copies keeps secondary zones as they were transferred; control/store does. The
// bytes are those of transfer.Content.
type Copies interface {
	PutZoneCopy(ctx context.Context, zone string, body []byte) error
	// ZoneCopy returns NotFound when there is none.
	ZoneCopy(ctx context.Context, zone string) ([]byte, error)
	DeleteZoneCopy(ctx context.Context, zone string) error
}

// Bounds of transfers.
const (
	maxPrimaries     = 8
	maxTransferKeys  = 8
	maxTransferAllow = 64
	maxNotify        = 32
	dnsPort          = 53
)

// checkTransfers checks both directions and brings addresses into the form they
// are stored in.
func checkTransfers(spec *Spec, add func(pointer, detail, fix string)) {
	if t := spec.Transfer; t != nil {
		if spec.DNSSEC.Enabled && spec.DNSSEC.Denial == edgeconfig.DenialCompact {
			add("/transfer", "a zone whose denials are signed when they are asked for cannot be given to secondaries, which have no key to sign them with", `set dnssec.denial to "nsec" or "nsec3", or leave transfer out`)
		}
		if len(t.Keys) == 0 || len(t.Keys) > maxTransferKeys {
			add("/transfer/keys", fmt.Sprintf("a zone that is transferred has 1 to %d keys", maxTransferKeys), "make one with POST .../dns/tsig or \"edgewright dns tsig create\", and name it")
		}
		for i, name := range t.Keys {
			keyName(fmt.Sprintf("/transfer/keys/%d", i), &t.Keys[i], name, add)
		}
		if len(t.Allow) > maxTransferAllow {
			add("/transfer/allow", fmt.Sprintf("%d ranges are more than %d", len(t.Allow), maxTransferAllow), "join some to larger ranges")
		}
		for i, text := range t.Allow {
			prefix, err := parsePrefix(text)
			if err != nil {
				add(fmt.Sprintf("/transfer/allow/%d", i), fmt.Sprintf("%q is no range of addresses", text), "write it like 192.0.2.0/24, 2001:db8::/48 or 192.0.2.1")
				continue
			}
			t.Allow[i] = prefix.String()
		}
		if len(t.Notify) > maxNotify {
			add("/transfer/notify", fmt.Sprintf("%d servers are more than %d", len(t.Notify), maxNotify), "let some of them tell the others")
		}
		for i, text := range t.Notify {
			address(fmt.Sprintf("/transfer/notify/%d", i), &t.Notify[i], text, add)
		}
	}
	if s := spec.Secondary; s != nil {
		if len(s.Primaries) == 0 || len(s.Primaries) > maxPrimaries {
			add("/secondary/primaries", fmt.Sprintf("a secondary zone has 1 to %d primaries", maxPrimaries), `write {"address":"192.0.2.1:53","key":"transfer.example.com"}`)
		}
		for i := range s.Primaries {
			p, at := &s.Primaries[i], fmt.Sprintf("/secondary/primaries/%d", i)
			address(at+"/address", &p.Address, p.Address, add)
			if p.Key != "" {
				keyName(at+"/key", &p.Key, p.Key, add)
			}
		}
	}
}

func keyName(pointer string, out *string, name string, add func(pointer, detail, fix string)) {
	canonicalName, err := canonical(strings.TrimSuffix(strings.TrimSpace(name), "."))
	if err != nil {
		add(pointer, fmt.Sprintf("%q is no name of a key", name), "write the name of a TSIG key, such as transfer.example.com")
		return
	}
	*out = canonicalName
}

func address(pointer string, out *string, text string, add func(pointer, detail, fix string)) {
	text = strings.TrimSpace(text)
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		if plain, plainErr := netip.ParseAddr(strings.Trim(text, "[]")); plainErr == nil {
			a, err = netip.AddrPortFrom(plain, dnsPort), nil
		}
	}
	if err != nil || a.Port() == 0 || a.Addr().Zone() != "" || a.Addr().IsUnspecified() || a.Addr().IsMulticast() {
		add(pointer, fmt.Sprintf("%q is no address of a server", text), "write it like 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53")
		return
	}
	*out = netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}

func parsePrefix(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// transferReferences are the keys that a spec names.
func transferReferences(raw json.RawMessage) []resource.Reference {
	var spec struct {
		Transfer  *Transfer  `json:"transfer"`
		Secondary *Secondary `json:"secondary"`
	}
	if json.Unmarshal(raw, &spec) != nil {
		return nil
	}
	var names []string
	if spec.Transfer != nil {
		names = append(names, spec.Transfer.Keys...)
	}
	if spec.Secondary != nil {
		for _, p := range spec.Secondary.Primaries {
			if p.Key != "" {
				names = append(names, p.Key)
			}
		}
	}
	slices.Sort(names)
	var out []resource.Reference
	for _, name := range slices.Compact(names) {
		out = append(out, resource.Reference{Kind: kindTSIG, Name: name})
	}
	return out
}
