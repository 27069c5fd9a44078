package access

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The table once more, by hand: changing who may do what must be said twice.
// The columns are viewer, developer, admin, owner of a project; the same of the
// platform, asked about a project.
const wantTable = `
audit:read          --xx --xx
authorities:delete  ---- --xx
authorities:read    ---- xxxx
authorities:write   ---- --xx
backups:read        ---- ---x
cdn:delete          -xxx -xxx
cdn:read            xxxx xxxx
cdn:write           -xxx -xxx
certificates:delete -xxx -xxx
certificates:read   xxxx xxxx
certificates:write  -xxx -xxx
dns_providers:delete -xxx -xxx
dns_providers:read  xxxx xxxx
dns_providers:write -xxx -xxx
domains:delete      -xxx -xxx
domains:read        xxxx xxxx
domains:write       -xxx -xxx
edges:delete        ---- --xx
edges:read          xxxx xxxx
edges:write         ---- --xx
environments:delete --xx --xx
environments:read   xxxx xxxx
environments:write  --xx --xx
events:read         xxxx xxxx
members:delete      --xx --xx
members:read        xxxx xxxx
members:write       --xx --xx
metrics:read        ---- xxxx
operations:read     xxxx xxxx
plans:read          xxxx xxxx
plans:write         -xxx -xxx
private-keys:read   ---x ---x
projects:delete     ---x ---x
projects:read       xxxx xxxx
projects:write      --xx --xx
purges:read         xxxx xxxx
purges:write        -xxx -xxx
revisions:read      xxxx xxxx
revisions:write     -xxx -xxx
tokens:delete       -xxx -xxx
tokens:read         -xxx -xxx
tokens:write        -xxx -xxx
traffic:read        xxxx xxxx
transfers:read      xxxx xxxx
transfers:write     --xx --xx
`

func TestPermissionTable(t *testing.T) {
	var lines []string
	for _, row := range Permissions() {
		line := fmt.Sprintf("%-19s ", string(row.Resource)+":"+string(row.Verb))
		for i, on := range []string{"prj_1", Platform} {
			if i > 0 {
				line += " "
			}
			for _, role := range Roles() {
				p := Principal{Grants: map[string]Role{on: role}}
				mark := "-"
				if p.Can("prj_1", row.Resource, row.Verb) {
					mark = "x"
				}
				line += mark
				elsewhere := p.Can("prj_2", row.Resource, row.Verb)
				if on != Platform && elsewhere {
					t.Errorf("a %s of prj_1 may %s:%s in prj_2", role, row.Resource, row.Verb)
				}
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	if got := strings.Join(lines, "\n"); got != strings.TrimSpace(wantTable) {
		t.Errorf("the permission table is\n%s", got)
	}
}

func TestNobody(t *testing.T) {
	nobody := &Principal{}
	odd := &Principal{Grants: map[string]Role{"prj_1": "king"}}
	unknown := &Principal{Grants: map[string]Role{Platform: Owner}, Scopes: []Scope{{"weather", "read"}}}
	for _, row := range Permissions() {
		for _, p := range []*Principal{nobody, odd, unknown} {
			if p.Can("prj_1", row.Resource, row.Verb) || p.CanSomewhere(row.Resource, row.Verb) {
				t.Errorf("%+v may %s:%s", p, row.Resource, row.Verb)
			}
		}
	}
	owner := &Principal{Grants: map[string]Role{Platform: Owner}}
	if owner.Can("prj_1", "weather", Read) || owner.Can("prj_1", Domains, "fly") {
		t.Error("what is not in the table is allowed")
	}
	if nobody.Sees("prj_1") || odd.Sees("prj_1") || !owner.Sees("prj_1") {
		t.Error("Sees is wrong")
	}
}

func TestScopes(t *testing.T) {
	for text, fine := range map[string]bool{
		"domains:write": true, "domains:*": true, "*:read": true, "*:*": true, "domains": false, "": false, ":": false,
		"domains:fly": false, "weather:read": false, "backups:write": false, "domains:write ": false,
	} {
		scope, err := ParseScope(text)
		if (err == nil) != fine || fine && scope.String() != text {
			t.Errorf("ParseScope(%q) = %v, %v", text, scope, err)
		}
	}
	wide, narrow := Scope{"domains", "*"}, Scope{"domains", "read"}
	if !wide.covers(narrow) || narrow.covers(wide) || !(Scope{"*", "*"}).covers(wide) || (Scope{"*", "read"}).covers(wide) {
		t.Error("covers is wrong")
	}
}
