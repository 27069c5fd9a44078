package cli

import (
	"bytes"
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// everyNode walks all commands that people see.
func everyNode(node *kong.Node, fn func(*kong.Node)) {
	fn(node)
	for _, child := range node.Children {
		if !child.Hidden {
			everyNode(child, fn)
		}
	}
}

func parser(t *testing.T) *kong.Kong {
	t.Helper()
	p, err := newParser(&grammar{}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// words splits a command line as a shell does, as far as examples need it, and
// ends at the first operator.
func words(line string) []string {
	var list []string
	var word strings.Builder
	quote, any := rune(0), false
	flush := func() {
		if any {
			list = append(list, word.String())
		}
		word.Reset()
		any = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, any = r, true
		case r == ' ':
			flush()
		case r == '|' || r == '>' || r == '&' || r == '<' || r == ')':
			flush()
			return list
		default:
			word.WriteRune(r)
			any = true
		}
	}
	flush()
	return list
}

// Every command has an example, and every example is one that the command line
// understands.
func TestExamples(t *testing.T) {
	everyNode(parser(t).Model.Node, func(node *kong.Node) {
		if node.Type == kong.ApplicationNode {
			return
		}
		_, tail, ok := strings.Cut(node.Detail, "Examples:")
		if !ok {
			t.Errorf("%s has no example", node.FullPath())
			return
		}
		for _, line := range strings.Split(strings.TrimSpace(tail), "\n") {
			_, command, ok := strings.Cut(line, "edgewright ")
			if !ok {
				t.Errorf("%s: example without edgewright: %s", node.FullPath(), line)
				continue
			}
			args := words(command)
			if _, err := parser(t).Parse(args); err != nil {
				t.Errorf("%s: example %q: %v", node.FullPath(), line, err)
			}
		}
	})
}

// Help is part of the product: a change shows here.
func TestHelpGolden(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	var all bytes.Buffer
	everyNode(parser(t).Model.Node, func(node *kong.Node) {
		args := []string{"--help"}
		if node.Type != kong.ApplicationNode {
			var path []string
			for n := node; n.Type != kong.ApplicationNode; n = n.Parent {
				path = append([]string{n.Name}, path...)
			}
			args = append(path, "--help")
		}
		all.WriteString("==== edgewright " + strings.Join(args, " ") + "\n")
		if code := Main(args, strings.NewReader(""), &all, &all, Servers{}); code != exitOK {
			t.Errorf("%v: exit status %d", args, code)
		}
		all.WriteByte('\n')
	})
	const golden = "testdata/help.golden"
	if *update {
		if err := os.WriteFile(golden, all.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), all.String()); d != "" {
		t.Errorf("help changed; look at it, and accept it with go test ./cli -run TestHelpGolden -update\n%s", d)
	}
}

// Automation relies on it: every flag of the servers is an environment
// variable too.
func TestServerFlagsHaveVariables(t *testing.T) {
	p := parser(t)
	wanted := map[string][]string{
		"up":      {"data", "listen-api", "listen-http", "listen-https", "listen-dns", "issuer", "acme-directory", "acme-root", "resolvers", "regions", "demo", "platform-domain", "cache-size", "log-level", "log-format", "open"},
		"control": {"data", "database", "listen-api", "tls-cert", "tls-key", "listen-bus", "bus-advertise", "nats-url", "nats-root-ca", "allow-origin-ranges", "issuer", "resolvers"},
		"edge":    {"data", "join", "token", "region", "name", "listen-http", "listen-https", "listen-dns", "root-ca", "cache-size"},
	}
	for command, names := range wanted {
		node := findChild(p.Model.Node, command)
		for _, name := range names {
			if findFlag(node, "--"+name) == nil {
				t.Errorf("%s has no --%s", command, name)
			}
		}
		for _, f := range append(node.Flags, p.Model.Flags...) {
			if f.Name == "help" {
				continue
			}
			want := "EDGEWRIGHT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
			if len(f.Envs) != 1 || f.Envs[0] != want {
				t.Errorf("%s --%s: variable %v, want %s", command, f.Name, f.Envs, want)
			}
		}
	}
}

// A subcommand's name with nothing behind it shows what can follow, and fails.
func TestIncompleteCommand(t *testing.T) {
	var out, errs bytes.Buffer
	if code := Main([]string{"edges"}, strings.NewReader(""), &out, &errs, Servers{}); code != exitFailed {
		t.Errorf("exit status %d", code)
	}
	if out.Len() > 0 || !strings.Contains(errs.String(), "edges join-token") {
		t.Errorf("stdout %q, stderr %q", &out, &errs)
	}
}

func TestAbsentServers(t *testing.T) {
	for _, args := range [][]string{
		{"up"}, {"control"}, {"edge"}, {"restore", "-"}, {"backup", "--local", "-"}, {"openapi"}, {"login", "--link"}, {"rotate-master-key", "--yes"},
	} {
		var out, errs bytes.Buffer
		t.Setenv("EDGEWRIGHT_DATA", t.TempDir())
		if code := Main(args, strings.NewReader(""), &out, &errs, Servers{}); code != exitFailed || !strings.Contains(errs.String(), "this build of edgewright cannot") {
			t.Errorf("%v: exit status %d, %s", args, code, &errs)
		}
	}
}
