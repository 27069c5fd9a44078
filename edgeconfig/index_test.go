package edgeconfig

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The digests are what two programs of different versions compare: a change of
// the formula makes every edge fetch everything. This test is meant to hurt.
func TestDigestsAreStable(t *testing.T) {
	if got := BucketOf("site/dom_1"); got != 0xfa {
		t.Errorf("BucketOf = %#x", got)
	}
	entries := []Entry{{Key: "certificate/crt_1", Revision: 3, Hash: "aa"}, {Key: "site/dom_1", Revision: 4, Hash: "bb"}}
	if got := BucketDigest(entries); got != "7886a9c512f91cc79c10e7fc6a340c74" {
		t.Errorf("BucketDigest = %q", got)
	}
	if got := RootDigest(map[int]string{1: "x", 200: "y"}); got != "4c0d566d2bc3c0d1868f985a1c6a3f8e" {
		t.Errorf("RootDigest = %q", got)
	}
	if BucketDigest(nil) != "" || RootDigest(nil) == "" {
		t.Error("an empty bucket has no digest, an empty root has one")
	}
}

func TestIndexDigestsDoNotDependOnHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var walked Index
		model := map[string]Entry{}
		for i := range rapid.IntRange(0, 200).Draw(t, "steps") {
			key := fmt.Sprintf("site/%d", rapid.IntRange(0, 60).Draw(t, "key"))
			switch rapid.IntRange(0, 4).Draw(t, "op") {
			case 0:
				walked.Remove(key)
				delete(model, key)
			case 1:
				walked.Digests() // digests are cached: asking must not freeze them
			default:
				e := Entry{Key: key, Revision: int64(i), Hash: fmt.Sprint(i * 7)}
				walked.Put(e)
				model[key] = e
			}
		}
		if walked.Len() != len(model) {
			t.Fatalf("%d entries, want %d", walked.Len(), len(model))
		}
		var fresh Index
		for key, e := range model {
			fresh.Put(e)
			if got, ok := walked.Get(key); !ok || got != e {
				t.Fatalf("Get(%s) = %v, %v", key, got, ok)
			}
		}
		if diff := cmp.Diff(fresh.Digests(), walked.Digests()); diff != "" {
			t.Fatal(diff)
		}
		if differ := walked.Differs(fresh.Digests()); differ != nil {
			t.Fatalf("differs from itself in %v", differ)
		}
		seen := map[string]Entry{}
		walked.All(func(e Entry) bool { seen[e.Key] = e; return true })
		if diff := cmp.Diff(model, seen); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestIndexDiffersNamesExactlyTheBucket(t *testing.T) {
	var a, b Index
	for i := range 500 {
		e := Entry{Key: fmt.Sprintf("site/dom_%d", i), Revision: 1, Hash: "h"}
		a.Put(e)
		b.Put(e)
	}
	for name, change := range map[string]func(){
		"revision": func() { b.Put(Entry{Key: "site/dom_7", Revision: 2, Hash: "h"}) },
		"hash":     func() { b.Put(Entry{Key: "site/dom_7", Revision: 1, Hash: "i"}) },
		"missing":  func() { b.Remove("site/dom_7") },
	} {
		change()
		if diff := cmp.Diff([]int{BucketOf("site/dom_7")}, a.Differs(b.Digests())); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if a.Root() == b.Root() || a.Root() != RootDigest(a.Digests()) || b.Root() != RootDigest(b.Digests()) {
			t.Errorf("%s: the root digest does not tell", name)
		}
		b.Put(Entry{Key: "site/dom_7", Revision: 1, Hash: "h"})
	}
	if len(a.Bucket(BucketOf("site/dom_7"))) == 0 || a.Bucket(-1) != nil || a.Bucket(Buckets) != nil {
		t.Error("Bucket answers wrongly")
	}
}

func BenchmarkIndexOneChangeAndManifest(b *testing.B) {
	var x Index
	for i := range 20_000 {
		x.Put(Entry{Key: fmt.Sprintf("site/dom_%026d", i), Revision: 1, Hash: HashBody([]byte{byte(i)})})
	}
	x.Digests()
	for i := 0; b.Loop(); i++ {
		x.Put(Entry{Key: fmt.Sprintf("site/dom_%026d", rand.IntN(20_000)), Revision: int64(i), Hash: "h"})
		digests := x.Digests()
		_ = maps.Clone(digests)
	}
}
