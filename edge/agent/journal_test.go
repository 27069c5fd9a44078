package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

func site(name string, revision int64, size int) edgeconfig.Document {
	d := edgeconfig.Document{Key: "site/" + name, Scope: edgeconfig.ScopeAll, Revision: revision}
	if size < 0 {
		d.Deleted = true
	} else {
		d.Body, _ = json.Marshal(strings.Repeat("x", size))
	}
	d.Hash = edgeconfig.HashBody(d.Body)
	return d
}

func mustOpen(t testing.TB, dir string) (*journal, int64) {
	t.Helper()
	j, damaged, err := openJournalWith(dir, lazily)
	if err != nil {
		t.Fatal(err)
	}
	return j, damaged
}

// lazily leaves it to the system when files reach the disk: tests end
// processes, not machines.
func lazily(*os.File) error { return nil }

func contents(j *journal) map[string]int64 {
	all := map[string]int64{}
	j.load(100, func(docs []edgeconfig.Document) {
		for _, d := range docs {
			all[d.Key] = d.Revision
		}
	})
	return all
}

func same(t testing.TB, got, want map[string]int64) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the journal has %v, want %v", got, want)
	}
}

func TestJournalKeepsTheNewest(t *testing.T) {
	dir := t.TempDir()
	j, _ := mustOpen(t, dir)
	if len(contents(j)) != 0 || j.purge != -1 {
		t.Error("a new journal is not empty")
	}
	for _, docs := range [][]edgeconfig.Document{
		{site("a", 1, 10), site("b", 2, 10)}, {site("a", 5, 20)}, {site("a", 4, 30)}, {site("b", 6, -1), site("c", 7, 0)},
	} {
		if err := j.append(docs, -1); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.append(nil, 42); err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"site/a": 5, "site/b": 6, "site/c": 7}
	same(t, contents(j), want)
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	j, damaged := mustOpen(t, dir)
	defer j.close()
	same(t, contents(j), want)
	if damaged != 0 || j.purge != 42 {
		t.Errorf("%d bytes damaged, purge %d", damaged, j.purge)
	}
	if info, err := os.Stat(j.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	d, err := j.read("site/b")
	if err != nil || !d.Deleted {
		t.Errorf("%+v %v", d, err)
	}
}

// Cut anywhere, as a crash does: everything before the cut is there.
func TestJournalSurvivesEveryCut(t *testing.T) {
	dir := t.TempDir()
	j, _ := mustOpen(t, dir)
	ends := []int64{0}
	for i := range 6 {
		if err := j.append([]edgeconfig.Document{site(fmt.Sprint(i%3), int64(i+1), 20*i)}, int64(i)); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, j.size)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		near := slices.ContainsFunc(ends, func(end int64) bool { return max(int64(cut)-end, end-int64(cut)) < recordHead+3 })
		if !near && cut%23 != 0 { // in the middle of a body one cut is like another
			continue
		}
		cutDir := t.TempDir()
		if err := os.WriteFile(filepath.Join(cutDir, journalName), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, damaged := mustOpen(t, cutDir)
		want := map[string]int64{}
		for i := range 6 {
			if int64(cut) >= ends[i+1]-recordHead-9 { // the document's record is whole
				want[fmt.Sprintf("site/%d", i%3)] = int64(i + 1)
			}
		}
		same(t, contents(j), want)
		// It is used on.
		if err := j.append([]edgeconfig.Document{site("after", 99, 5)}, 7); err != nil {
			t.Fatal(err)
		}
		want["site/after"] = 99
		same(t, contents(j), want)
		j.close()
		j, again := mustOpen(t, cutDir)
		same(t, contents(j), want)
		if again != 0 {
			t.Errorf("cut at %d (%d damaged): %d bytes are damaged after the repair", cut, damaged, again)
		}
		j.close()
		if t.Failed() {
			t.Fatalf("cut at %d", cut)
		}
	}
}

// A damaged byte costs the record it is in, at most.
func TestJournalSurvivesDamage(t *testing.T) {
	dir := t.TempDir()
	j, _ := mustOpen(t, dir)
	want := map[string]int64{}
	for i := range 20 {
		if err := j.append([]edgeconfig.Document{site(fmt.Sprint(i), int64(i+1), 50)}, -1); err != nil {
			t.Fatal(err)
		}
		want[fmt.Sprintf("site/%d", i)] = int64(i + 1)
	}
	j.close()
	whole, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		damagedDir := t.TempDir()
		broken := bytes.Clone(whole)
		at := random.IntN(len(broken))
		broken[at] ^= byte(1 + random.IntN(255))
		if err := os.WriteFile(filepath.Join(damagedDir, journalName), broken, 0o600); err != nil {
			t.Fatal(err)
		}
		j, damaged := mustOpen(t, damagedDir)
		got := contents(j)
		if len(got) < len(want)-1 || damaged == 0 && len(got) != len(want) {
			t.Fatalf("a damaged byte at %d leaves %d of %d documents (%d bytes damaged)", at, len(got), len(want), damaged)
		}
		for key, revision := range got {
			if want[key] != revision {
				t.Fatalf("%s has revision %d, want %d", key, revision, want[key])
			}
		}
		j.close()
	}
}

func TestJournalCompacts(t *testing.T) {
	dir := t.TempDir()
	j, _ := mustOpen(t, dir)
	for i := range 400 {
		if err := j.append([]edgeconfig.Document{site("a", int64(i+1), 10_000), site(fmt.Sprint(i%10), int64(i+1), 10)}, int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if j.size > 2*compactBeyond {
		t.Errorf("the file has %d bytes after 4 MB of changes", j.size)
	}
	want := contents(j)
	if want["site/a"] != 400 || len(want) != 11 {
		t.Errorf("%v", want)
	}
	j.close()
	j, damaged := mustOpen(t, dir)
	defer j.close()
	same(t, contents(j), want)
	if damaged != 0 || j.purge != 399 {
		t.Errorf("%d bytes damaged, purge %d", damaged, j.purge)
	}
	if err := j.reset(); err != nil {
		t.Fatal(err)
	}
	if len(contents(j)) != 0 || j.purge != -1 || j.size != 0 {
		t.Error("reset leaves something")
	}
}

func TestJournalIsWhatWasAppended(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		j, _, err := openJournalWith(dir, lazily)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int64{}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0:
				j.close()
				if j, _, err = openJournalWith(dir, lazily); err != nil {
					t.Fatal(err)
				}
			case 1:
				if err := j.compact(); err != nil {
					t.Fatal(err)
				}
			default:
				key := fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "key"))
				revision := int64(rapid.IntRange(1, 50).Draw(t, "revision"))
				if err := j.append([]edgeconfig.Document{site(key, revision, rapid.IntRange(-1, 300).Draw(t, "size"))}, -1); err != nil {
					t.Fatal(err)
				}
				want["site/"+key] = max(want["site/"+key], revision)
			}
		}
		if got := contents(j); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("the journal has %v, want %v", got, want)
		}
		j.close()
	})
}

func TestJournalOrdersWhatOthersNeedFirst(t *testing.T) {
	j, _ := mustOpen(t, t.TempDir())
	defer j.close()
	for i, key := range []string{"site/a", "certificate/b", "other/z", "keys/edge", "challenge/1", "platform/settings", "edge/e"} {
		d := site("x", int64(i+1), 3)
		d.Key = key
		if err := j.append([]edgeconfig.Document{d}, -1); err != nil {
			t.Fatal(err)
		}
	}
	var order []string
	j.load(2, func(docs []edgeconfig.Document) {
		for _, d := range docs {
			order = append(order, d.Key)
		}
	})
	want := "[edge/e keys/edge platform/settings certificate/b challenge/1 site/a other/z]"
	if fmt.Sprint(order) != want {
		t.Errorf("%v", order)
	}
}

func TestDirectoryThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, journalName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openJournal(dir); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
}

func FuzzJournal(f *testing.F) {
	dir := f.TempDir()
	j, _ := mustOpen(f, dir)
	for i := range 5 {
		if err := j.append([]edgeconfig.Document{site(fmt.Sprint(i), int64(i+1), 10*i-1)}, int64(i)); err != nil {
			f.Fatal(err)
		}
	}
	j.close()
	whole, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(append([]byte("garbage"), whole...))
	f.Add(bytes.Repeat(recordMagic[:], 50))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, journalName), data, 0o600); err != nil {
			t.Fatal(err)
		}
		j, _, err := openJournalWith(dir, lazily)
		if err != nil {
			t.Fatal(err)
		}
		before := contents(j)
		if err := j.append([]edgeconfig.Document{site("fuzz", 1<<60, 5)}, 3); err != nil {
			t.Fatal(err)
		}
		j.close()
		j, damaged := mustOpen(t, dir)
		defer j.close()
		after := contents(j)
		if damaged != 0 || after["site/fuzz"] != 1<<60 || j.purge != 3 {
			t.Fatalf("after the repair: %d bytes damaged, %v", damaged, after)
		}
		for key, revision := range before {
			if after[key] < revision {
				t.Fatalf("%s went from %d to %d", key, revision, after[key])
			}
		}
	})
}

func FuzzIdentity(f *testing.F) {
	id, err := newIdentity()
	if err != nil {
		f.Fatal(err)
	}
	data, _ := json.Marshal(id)
	f.Add(data)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		id, err := parseIdentity(data)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Error(err)
			}
			return
		}
		if _, err := id.request(JoinOptions{}); err != nil {
			t.Errorf("an identity that was accepted cannot join: %v", err)
		}
	})
}

func TestFillHost(t *testing.T) {
	for in, want := range map[string]string{
		"tls://:7071": "tls://control.example.net:7071", "tls://10.0.0.1:7071": "tls://10.0.0.1:7071",
		"": "", "tls://a:1,tls://b:2": "tls://a:1,tls://b:2",
	} {
		if got := fillHost(in, "control.example.net"); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
