package zones

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// mapping is UTS 46 non-transitional processing, without the rules for hosts:
// records have underscores.
var mapping = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.CheckHyphens(false), idna.BidiRule())

// asciiName turns a name in presentation form into lower-case A-labels.
func asciiName(text string) (string, error) {
	ascii := true
	for i := range len(text) {
		ascii = ascii && text[i] < utf8.RuneSelf
	}
	if ascii {
		return strings.ToLower(text), nil
	}
	labels := strings.Split(text, ".")
	for i, l := range labels {
		a, err := mapping.ToASCII(l)
		if err != nil {
			return "", fmt.Errorf("%q cannot be written in A-labels: %w", l, err)
		}
		labels[i] = a
	}
	return strings.Join(labels, "."), nil
}

// canonical brings a name into the form that the bridge asks for.
func canonical(text string) (string, error) {
	text, err := asciiName(text)
	if err != nil {
		return "", err
	}
	wire, err := edgeconfig.PackName(text)
	if err != nil {
		return "", err
	}
	lowerWire(wire)
	return edgeconfig.UnpackName(wire)
}

func lowerWire(wire []byte) {
	for i := 0; wire[i] != 0; {
		n := int(wire[i])
		for j := i + 1; j <= i+n; j++ {
			if wire[j] >= 'A' && wire[j] <= 'Z' {
				wire[j] += 'a' - 'A'
			}
		}
		i += n + 1
	}
}

// ParseApex brings the name of a zone into the form it is stored in: A-labels,
// lower case, no trailing dot. Error: Invalid at /name.
func ParseApex(text string) (string, error) {
	bad := func(detail, fix string) (string, error) { return "", fault.InvalidField("/name", detail, fix) }
	text = strings.TrimSpace(text)
	if strings.Contains(text, "..") {
		return bad(fmt.Sprintf("%q has an empty label", text), "remove the second dot")
	}
	name, err := canonical(strings.TrimSuffix(text, "."))
	switch {
	case err != nil:
		return bad(err.Error(), "write a domain such as example.com")
	case text == "" || text == "." || name == ".":
		return bad("the root is no zone of ours", "write a domain such as example.com")
	case strings.ContainsAny(name, `@\ `):
		return bad(fmt.Sprintf("%q is not a domain that can be delegated to us", text), "write a domain such as example.com")
	case strings.HasPrefix(name, "*"):
		return bad("a wildcard is no zone", "make the zone "+strings.TrimPrefix(name, "*.")+" and put the wildcard into it")
	}
	return name, nil
}

// ParseOwner brings the owner of a record into the form relative to the apex:
// "@", "www", "*.shop". What ends in a dot, in the apex, or is the apex is a
// whole name; anything else is relative. Error: Invalid at /name.
func ParseOwner(text, apex string) (string, error) {
	bad := func(detail, fix string) (string, error) { return "", fault.InvalidField("/name", detail, fix) }
	text = strings.TrimSpace(text)
	if text == "" || text == "@" {
		return "@", nil
	}
	if strings.Contains(text, "..") {
		return bad(fmt.Sprintf("%q has an empty label", text), "remove the second dot")
	}
	if strings.ContainsAny(text, " \t") {
		return bad(fmt.Sprintf("%q has white space", text), "write a name such as www; white space within a label is written \\032")
	}
	name, err := canonical(text)
	if err != nil {
		return bad(err.Error(), "write a name such as www or www."+apex)
	}
	absolute := strings.HasSuffix(text, ".") && !strings.HasSuffix(text, `\.`)
	switch {
	case name == apex:
		return "@", nil
	case strings.HasSuffix(name, "."+apex):
		name = strings.TrimSuffix(name, "."+apex)
	case absolute:
		return bad(fmt.Sprintf("%s is not in the zone %s", name, apex), "write a name below "+apex+", or none of the dots at the end")
	}
	if _, err := edgeconfig.OwnerName(name, mustPack(apex)); err != nil {
		return bad(err.Error(), "shorten the name")
	}
	labels := dns.SplitDomainName(name)
	for i, l := range labels {
		if strings.Contains(l, "*") && (l != "*" || i > 0) {
			return bad(fmt.Sprintf("%s: a star stands for names only as the whole first label (RFC 4592)", name), "write *."+strings.Join(labels[min(i+1, len(labels)-1):], "."))
		}
	}
	return name, nil
}

func mustPack(name string) []byte {
	wire, err := edgeconfig.PackName(name)
	if err != nil {
		return []byte{0} // names are parsed before they come here
	}
	return wire
}

// FullName is an owner with its apex, without trailing dot.
func FullName(owner, apex string) string {
	if owner == "@" {
		return apex
	}
	return owner + "." + apex
}

// RRsetName is the resource name of a set: "www/A@example.com", "@/MX@example.com".
// An owner that itself ends in the apex is written in full, or it would be read
// as the name above it: "www.example.com.example.com/A@example.com".
func RRsetName(owner, typ, apex string) string {
	if owner == apex || strings.HasSuffix(owner, "."+apex) {
		owner = FullName(owner, apex)
	}
	return owner + "/" + typ + "@" + apex
}

// ParseRRsetName takes the resource name of a set apart, in any form that a
// person may write. Error: Invalid at /name.
func ParseRRsetName(text string) (owner, typ, apex string, err error) {
	bad := func() (string, string, string, error) {
		return "", "", "", fault.InvalidField("/name", fmt.Sprintf("%q names no record set", text), "write NAME/TYPE@ZONE, such as www/A@example.com")
	}
	at := strings.LastIndexByte(text, '@')
	if at <= 0 {
		return bad()
	}
	left, right := text[:at], text[at+1:]
	slash := strings.LastIndexByte(left, '/')
	if slash < 0 {
		return bad()
	}
	if apex, err = ParseApex(right); err != nil {
		return "", "", "", err
	}
	if owner, err = ParseOwner(left[:slash], apex); err != nil {
		return "", "", "", err
	}
	if typ, err = ParseType(left[slash+1:]); err != nil {
		return "", "", "", err
	}
	return owner, typ, apex, nil
}
