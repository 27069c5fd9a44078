package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/store/storetest"
)

// readmeBlocks returns the code blocks of README.md in a language.
func readmeBlocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// TestReadme runs every command that README.md shows, with directories,
// addresses and tokens of this test in place of the shown ones, and fails when
// README.md shows a command that is not run here.
func TestReadme(t *testing.T) {
	var shown []string
	for _, block := range readmeBlocks(t, "sh") {
		for line := range strings.Lines(block) {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line != "" {
				shown = append(shown, line)
			}
		}
	}
	ran := map[string]bool{}
	// said returns the shown command, so that a test of it cannot drift from it.
	said := func(command string) string {
		t.Helper()
		if !slices.Contains(shown, command) {
			t.Errorf("README.md does not show %q any more", command)
		}
		ran[command] = true
		return command
	}
	dir, home := t.TempDir(), t.TempDir()
	paths := strings.NewReplacer("/var/lib/edgewright", dir, "/srv/edgewright", filepath.Join(home, "restored"), "bin/edgewright", binary)
	execute := func(env []string, wantCode int, command string, replace ...string) string {
		t.Helper()
		text := strings.NewReplacer(replace...).Replace(paths.Replace(said(command)))
		if rest, ok := strings.CutPrefix(text, "edgewright "); ok {
			text = binary + " " + rest
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", text)
		cmd.Dir = home
		cmd.Env = append(os.Environ(), append([]string{"HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_DATA_HOME=" + home}, env...)...)
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != wantCode {
			t.Fatalf("%s: exit status %d, wanted %d: %v\n%s", text, code, wantCode, err, out)
		}
		return string(out)
	}

	for _, target := range []string{"make up", "make test"} {
		said(target)
		if out, err := exec.Command("make", "-C", "..", "-n", strings.TrimPrefix(target, "make ")).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", target, err, out)
		}
	}

	// A real machine: the flags as shown, ports of this test.
	up := strings.Fields(paths.Replace(said("edgewright up --data /var/lib/edgewright --acme-contact you@example.com")))
	s := start(t, nil, append(up[1:], append(loopback, "--issuer", "local")...)...)
	execute(nil, 0, "edgewright --data /var/lib/edgewright domains add shop.example.com --origin http://127.0.0.1:3000")
	execute(nil, 1, "edgewright --data /var/lib/edgewright domains verify shop.example.com")

	if err := os.WriteFile(filepath.Join(home, "example.com.zone"), []byte("mail 300 IN A 192.0.2.25\n@ 300 IN MX 10 mail\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{
		"create example.com", "import example.com example.com.zone", "set example.com www A 192.0.2.1 --ttl 60",
		"set example.com @ ALIAS --edges", "dnssec example.com --enable",
	} {
		execute(nil, 0, "edgewright --data /var/lib/edgewright dns "+command)
	}
	if listed := execute(nil, 0, "edgewright --data /var/lib/edgewright dns list example.com"); !strings.Contains(listed, "192.0.2.25") || !strings.Contains(listed, "192.0.2.1") {
		t.Errorf("%s", listed)
	}

	api := []string{"EDGEWRIGHT_URL=" + s.Ready.Dashboard, "EDGEWRIGHT_TOKEN=" + token}
	execute(api, 0, "bin/edgewright domains add shop.localhost --origin http://127.0.0.1:3000")

	// Everything as a file: here for the staging environment, where nothing is yet.
	yaml := readmeBlocks(t, "yaml")
	if len(yaml) != 1 {
		t.Fatalf("README.md shows %d YAML files", len(yaml))
	}
	declared := strings.NewReplacer("environment: production", "environment: staging", "shop.localhost", "staged.localhost").Replace(yaml[0])
	if err := os.WriteFile(filepath.Join(home, "edgewright.yaml"), []byte(declared), 0o600); err != nil {
		t.Fatal(err)
	}
	var before struct {
		Revisions []struct{ Revision json.Number }
	}
	s.must(200, "GET", "/revisions?limit=1", nil).decode(t, &before)
	execute(api, 2, "edgewright plan")
	execute(api, 0, "edgewright apply", "apply", "apply --yes")
	execute(append(api, "EDGEWRIGHT_ENVIRONMENT=staging"), 0, "edgewright history")
	execute(append(api, "EDGEWRIGHT_ENVIRONMENT=staging"), 0, "edgewright rollback 41", "rollback 41", "rollback --yes "+before.Revisions[0].Revision.String())

	execute(nil, 0, "edgewright --data /var/lib/edgewright backup edgewright.backup")
	execute(nil, 0, "mkdir -p /srv/edgewright && cp /var/lib/edgewright/master.key /srv/edgewright/")
	execute(nil, 0, "edgewright --data /srv/edgewright restore edgewright.backup")

	// Many machines.
	public := "https://" + strings.Replace(freeAddress(t), "127.0.0.1", "localhost", 1)
	address := strings.Replace(strings.TrimPrefix(public, "https://"), "localhost", "127.0.0.1", 1)
	control := said("edgewright control --public-url https://control.example.com:7070 --database postgres://edgewright@db/edgewright")
	control = strings.NewReplacer("https://control.example.com:7070", public, "postgres://edgewright@db/edgewright", storetest.PostgresDSN(t)).Replace(control)
	controlDir := t.TempDir()
	c := start(t, nil, append(strings.Fields(control)[1:], "--data", controlDir, "--listen-api", address, "--listen-bus", "127.0.0.1:0", "--issuer", "local")...)
	joinEnv := []string{"EDGEWRIGHT_URL=" + c.Ready.Dashboard, "EDGEWRIGHT_TOKEN=" + token, "EDGEWRIGHT_ROOT_CA=" + filepath.Join(controlDir, "control-ca.pem")}
	printed := execute(joinEnv, 0, "edgewright edges join-token --region fra")
	join := regexp.MustCompile(`ewj_[A-Za-z0-9_-]+`).FindString(printed)
	if join == "" || !strings.Contains(printed, "edgewright edge --join "+public) {
		t.Fatalf("the command to join is not printed: %s", printed)
	}
	edgeCommand := said("edgewright edge --join https://control.example.com:7070 --token ewj_... --region fra --root-ca control-ca.pem")
	edgeCommand = strings.NewReplacer("https://control.example.com:7070", public, "ewj_...", join, "control-ca.pem", filepath.Join(controlDir, "control-ca.pem")).Replace(edgeCommand)
	start(t, nil, append(strings.Fields(edgeCommand)[1:], "--data", t.TempDir(), "--listen-http", "127.0.0.1:0", "--listen-https", "127.0.0.1:0", "--listen-dns", "127.0.0.1:0")...)

	for _, command := range shown {
		if !ran[command] {
			t.Errorf("README.md shows %q, which no test runs", command)
		}
	}
}
