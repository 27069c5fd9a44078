package edgewright_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/edgewright/edgewright/"

// The house, floor by floor. A package may import packages of lower floors
// only; the same floor not at all, unless `beside` draws it. Packages below a
// listed path belong to its floor and may import one another.
var floors = []struct {
	name     string
	packages []string
}{
	{"the binaries", []string{"cmd"}},
	{"doors", []string{"control/api", "cli", "terraform", "demo", "web", "bench"}},
	{"client", []string{"client"}},
	{"joining rooms", []string{"control/compile", "control/fleet"}},
	{"adapters", []string{"control/store", "control/acme", "control/localca", "control/dnsproviders", "control/mail"}},
	{"rooms", []string{"control/access", "control/cdn", "control/certificates", "control/domains", "control/projects", "control/traffic", "control/zones"}},
	{"what rooms work with", []string{"control/dnssec"}},
	{"the loop", []string{"control/reconcile"}},
	{"the envelope", []string{"control/resource"}},
	{"the edge, wired", []string{"edge/agent", "edge/node"}},
	{"the edge's doors", []string{"edge/httpedge"}},
	{"the edge's rooms", []string{"edge/balance", "edge/cache", "edge/certs", "edge/dns", "edge/telemetry"}},
	{"the view", []string{"edge/request"}},
	{"the bridge", []string{"edgeconfig"}},
	{"the ground", []string{"dnswire", "netguard", "secrets"}},
	{"errors", []string{"fault"}},
}

// What is drawn in addition: importer -> imported, with the reason.
var beside = map[string]map[string]string{
	"control/fleet": {"control/compile": "publishes what compile makes"},
}

// Towers that must not see each other, whatever their floors.
var walls = []struct{ from, to string }{
	{"edge", "control"},
	{"control", "edge"},
	{"edge", "client"},
	{"edge", "web"},
	{"cli", "control"},
	{"cli", "edge"},
	{"client", "control"},
	{"client", "edge"},
	{"client", "edgeconfig"},
	{"terraform", "control"},
	{"demo", "control"},
	{"demo", "edge"},
	{"web", "control"},
}

// TestFloors reads the imports of every file, tests left out, with go/parser:
// `go list` output would be cached with the test and hide a break.
func TestFloors(t *testing.T) {
	for importer, imports := range readImports(t) {
		from := floorOf(importer)
		if from < 0 {
			t.Errorf("%s stands on no floor: add it to the table in floors_test.go", importer)
			continue
		}
		for _, imported := range imports {
			to := floorOf(imported)
			switch {
			case to < 0: // reported as an importer
			case to > from:
			case to == from && sameRoom(from, importer, imported):
			case beside[importer][imported] != "":
			default:
				t.Errorf("%s (%s) imports %s (%s): imports go downward only", importer, floors[from].name, imported, floors[to].name)
			}
			for _, w := range walls {
				if within(importer, w.from) && within(imported, w.to) {
					t.Errorf("%s imports %s: there is a wall between %s and %s", importer, imported, w.from, w.to)
				}
			}
		}
	}
}

// TestFloorsAreReal fails when the table names a room that is not there, so
// that the plan of the house stays the house.
func TestFloorsAreReal(t *testing.T) {
	seen := readImports(t)
	for _, f := range floors {
		for _, p := range f.packages {
			found := false
			for dir := range seen {
				found = found || within(dir, p)
			}
			if !found && !plannedRooms[p] {
				t.Errorf("floor %q lists %s, which does not exist", f.name, p)
			}
		}
	}
}

// Rooms the house has a place for before they are built.
var plannedRooms = map[string]bool{"terraform": true}

func readImports(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string]map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", "node_modules", "testdata", "tools", "test", "bin", "dist":
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		dir := path.Dir(filepath.ToSlash(file))
		if dir == "." || strings.HasSuffix(dir, "test") { // storetest, fleettest: test harnesses
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		if imports[dir] == nil {
			imports[dir] = map[string]bool{}
		}
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if rest, ok := strings.CutPrefix(p, module); ok {
				imports[dir][rest] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for dir, set := range imports {
		list := make([]string, 0, len(set))
		for p := range set {
			list = append(list, p)
		}
		sort.Strings(list)
		out[dir] = list
	}
	return out
}

func floorOf(pkg string) int {
	for i, f := range floors {
		for _, p := range f.packages {
			if within(pkg, p) {
				return i
			}
		}
	}
	return -1
}

func sameRoom(floor int, a, b string) bool {
	for _, p := range floors[floor].packages {
		if within(a, p) && within(b, p) {
			return true
		}
	}
	return false
}

func within(pkg, room string) bool { return pkg == room || strings.HasPrefix(pkg, room+"/") }
