package cli

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/client"
)

// printFetches tells who has asked for a zone that is given, or was.
func (a *app) printFetches(t *client.ZoneTransfers) {
	if len(t.Secondaries) == 0 {
		if t.Out != nil {
			a.hint("\nNo secondary has asked for it yet. Edges tell once a minute.")
		}
		return
	}
	fmt.Fprintln(a.out)
	table := a.table("SECONDARY", "KEY", "LAST", "SERIAL", "ASKED", "WHEN")
	for _, f := range t.Secondaries {
		serial, outcome := "", cell{text: "older"}
		if f.Serial > 0 {
			serial = fmt.Sprint(f.Serial)
		}
		switch {
		case f.Error != "":
			outcome = cell{text: f.Outcome, paint: a.ink.red}
		case f.Serial == t.Serial:
			outcome = cell{text: "current", paint: a.ink.green}
		}
		table.row(f.Address, f.Key, outcome, serial, f.Kind, a.ago(&f.At))
	}
	table.print(a.out)
	for _, f := range t.Secondaries {
		if f.Error != "" {
			a.hint("%s", strings.TrimSuffix(clean(f.Address+": "+f.Error+". To mend it, "+f.Fix), ". To mend it, ")+".")
		}
	}
	a.hint("Edges tell once a minute what they last saw.")
}
