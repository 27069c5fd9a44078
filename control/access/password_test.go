package access

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/edgewright/edgewright/fault"
)

func TestPasswordHashes(t *testing.T) {
	h, err := newHasher(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	one, err := h.hash(ctx, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	two, _ := h.hash(ctx, "correct horse")
	if one == two {
		t.Fatal("two hashes of a password are the same: there is no salt")
	}
	key := argon2.IDKey([]byte("correct horse"), []byte("0123456789abcdef"), 1, 8, 1, 32)
	old := fmt.Sprintf("$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$%s", enc(key))
	for _, c := range []struct {
		stored, password string
		ok, rehash       bool
	}{
		{one, "correct horse", true, false},
		{one, "correct horse ", false, false},
		{one, "", false, false},
		{"", "", false, false},
		{"", "correct horse", false, false},
		{old, "correct horse", true, true},
		{old, "wrong", false, true},
	} {
		ok, rehash, err := h.verify(ctx, c.stored, c.password)
		if err != nil || ok != c.ok || rehash != c.rehash {
			t.Errorf("verify(%q, %q) = %v, %v, %v", c.stored, c.password, ok, rehash, err)
		}
	}
	for _, bad := range []string{
		"plain", "$argon2i$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", "$argon2id$v=19$m=99999999,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg",
		"$argon2id$v=19$m=8,t=1,p=1$!$MDEyMzQ1Njc4OWFiY2RlZg", "$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$", "$argon2id$v=19$m=8,t=0,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg",
	} {
		if _, _, err := h.verify(ctx, bad, "x"); fault.CodeOf(err) != fault.Internal {
			t.Errorf("verify(%q) = %v", bad, err)
		}
	}
}

func enc(b []byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	var out []byte
	for i := 0; i < len(b); i += 3 {
		var v uint32
		n := min(3, len(b)-i)
		for j := range 3 {
			v <<= 8
			if j < n {
				v |= uint32(b[i+j])
			}
		}
		for j := range n + 1 {
			out = append(out, alphabet[v>>(18-6*j)&63])
		}
	}
	return string(out)
}

// No more than a few hashes are computed at once, and who waits can give up.
func TestPasswordHashesAreBounded(t *testing.T) {
	h := &hasher{slots: make(chan struct{}, argonAtOnce)}
	for range argonAtOnce {
		if err := h.acquire(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.acquire(ctx); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a hash too many was let in: %v", err)
	}
}

func TestThrottleIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(time.Now)
		for range 100 {
			th.fail("victim", 0)
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range throttleSize {
					th.fail(fmt.Sprintf("%d-%d", g, i), 0)
				}
			})
		}
		wg.Wait()
		if n := len(th.by); n > throttleSize {
			t.Fatalf("%d keys are kept", n)
		}
		if th.check("victim") == nil {
			t.Fatal("filling the table freed a key that was held up")
		}
		time.Sleep(longestWait + time.Second)
		if err := th.check("victim"); err != nil {
			t.Fatal(err)
		}
		th.fail("victim", 0) // within the memory: the next wait is long again
		if th.by["victim"].count != 101 {
			t.Fatal("the count was forgotten too early")
		}
		time.Sleep(throttleMemory + time.Second)
		th.fail("victim", 0)
		if th.by["victim"].count != 1 {
			t.Fatal("an old count was not forgotten")
		}
	})
}
