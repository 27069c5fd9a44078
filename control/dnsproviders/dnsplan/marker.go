package dnsplan

import (
	"regexp"
	"strings"

	"github.com/miekg/dns"
)

// Markers: a TXT RRset beside each RRset that is ours. It cannot stand at the
// name itself, where a CNAME tolerates nothing, nor for a wildcard below the
// asterisk, which some providers refuse.
const (
	markerPrefix   = "_edgewright-"
	markerWildcard = "_wildcard"
	markerTTL      = 300
	markerHeritage = "heritage=edgewright,owner="
)

var unnamedType = regexp.MustCompile(`^TYPE[0-9]{1,5}$`) // RFC 3597

var ownerForm = regexp.MustCompile(`^[A-Za-z0-9_./:-]{1,180}$`)

// MarkerKey returns where the marker of an RRset stands.
func MarkerKey(k Key) Key {
	name := k.Name
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		name = markerWildcard + "." + rest
	}
	return Key{markerPrefix + strings.ToLower(k.Type) + "." + name, "TXT"}
}

// markedBy returns which RRset a marker at a key would be for.
func markedBy(marker Key) (Key, bool) {
	rest, ok := strings.CutPrefix(marker.Name, markerPrefix)
	if !ok || marker.Type != "TXT" {
		return Key{}, false
	}
	typ, name, ok := strings.Cut(rest, ".")
	typ = strings.ToUpper(typ)
	if _, known := dns.StringToType[typ]; !ok || !known && !unnamedType.MatchString(typ) {
		return Key{}, false // something of ours that is no marker, as _edgewright-challenge
	}
	if below, ok := strings.CutPrefix(name, markerWildcard+"."); ok {
		name = "*." + below
	}
	return Key{name, typ}, true
}

// marker returns the marker that an owner puts beside an RRset.
func marker(k Key, owner string) RRset {
	at := MarkerKey(k)
	return RRset{Name: at.Name, Type: at.Type, TTL: markerTTL, Values: []string{QuoteTXT(markerHeritage + owner)}}
}

// ownerIn returns the owner that a marker names. A set of anything else is not
// a marker, although it stands where one would.
func ownerIn(s RRset) (string, bool) {
	if s.Special != "" || len(s.Values) != 1 {
		return "", false
	}
	text, err := UnquoteTXT(s.Values[0])
	if err != nil {
		return "", false
	}
	owner, ok := strings.CutPrefix(text, markerHeritage)
	return owner, ok && ownerForm.MatchString(owner)
}
