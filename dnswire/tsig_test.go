package dnswire_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/dnswire"
)

var secret = []byte("a secret of thirty-two bytes, ok")

// signed is a query that miekg/dns has signed, and the MAC it made.
func signed(t testing.TB, algorithm string) (wire, mac []byte) {
	t.Helper()
	q := new(dns.Msg).SetAxfr("example.com.")
	q.SetTsig("Transfer.Example.", algorithm+".", dnswire.Fudge, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Unix())
	wire, text, err := dns.TsigGenerate(q, base64.StdEncoding.EncodeToString(secret), "", false)
	if err != nil {
		t.Fatal(err)
	}
	mac, err = hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return wire, mac
}

// What another implementation has signed is found, read, verified, and written
// as it was.
func TestTSIGOfAnother(t *testing.T) {
	for _, algorithm := range []string{dnswire.HMACSHA256, dnswire.HMACSHA384, dnswire.HMACSHA512} {
		wire, mac := signed(t, algorithm)
		off, ok := dnswire.FindTSIG(wire)
		if !ok || off == 0 {
			t.Fatalf("%s: found at %d, %t", algorithm, off, ok)
		}
		r, end, ok := dnswire.ReadTSIG(wire, off, false)
		if !ok || end != len(wire) || string(r.Name) != "\x08transfer\x07example\x00" || !bytes.Equal(r.MAC, mac) || r.Fudge != dnswire.Fudge {
			t.Fatalf("%s: %+v, %d of %d, %t", algorithm, r, end, len(wire), ok)
		}
		plain := dnswire.Unsigned(wire, off, r.ID)
		if got := r.Sum(dnswire.Hash(algorithm), secret, nil, false, plain[:20], plain[20:]); !bytes.Equal(got, mac) {
			t.Errorf("%s: the MAC is %x, not %x", algorithm, got, mac)
		}
		if again := r.Append(plain); !bytes.EqualFold(again, wire) {
			t.Errorf("%s: written as %x, was %x", algorithm, again, wire)
		}
		if n := dnswire.TSIGSize(r.Name, r.Algorithm, len(mac)); n != len(wire)-off+6 {
			t.Errorf("%s: a record takes %d bytes, not %d", algorithm, n, len(wire)-off+6)
		}
	}
	if dnswire.Hash("hmac-md5.sig-alg.reg.int") != nil {
		t.Error("MD5 is taken")
	}
}

// Old servers compress the names of the record.
func TestCompressedNames(t *testing.T) {
	wire, mac := signed(t, dnswire.HMACSHA256)
	off, _ := dnswire.FindTSIG(wire)
	behind := wire[off+len("\x08transfer\x07example\x00"):]
	short := append(slices.Clone(wire[:off]), "\x08Transfer\xc0\x0c"...) // to example.com
	short = append(short, behind...)
	if at, ok := dnswire.FindTSIG(short); !ok || at != off {
		t.Fatalf("found at %d, %t", at, ok)
	}
	if _, _, ok := dnswire.ReadTSIG(short, off, false); ok {
		t.Error("a compressed name is taken where none may be")
	}
	r, _, ok := dnswire.ReadTSIG(short, off, true)
	if !ok || string(r.Name) != "\x08transfer\x07example\x03com\x00" || !bytes.Equal(r.MAC, mac) {
		t.Errorf("%+v, %t", r, ok)
	}
	round := append(slices.Clone(wire[:off]), 0xc0, byte(off))
	round = append(round, behind...)
	if _, _, ok := dnswire.ReadTSIG(round, off, true); ok {
		t.Error("a pointer to itself is a name")
	}
}

func TestMalformed(t *testing.T) {
	wire, _ := signed(t, dnswire.HMACSHA256)
	off, _ := dnswire.FindTSIG(wire)
	for n := range wire {
		if _, ok := dnswire.FindTSIG(wire[:n]); ok {
			t.Errorf("the first %d of %d bytes are a message", n, len(wire))
		}
		if _, _, ok := dnswire.ReadTSIG(wire[:n], off, true); ok {
			t.Errorf("the first %d of %d bytes have the record", n, len(wire))
		}
	}
	if _, ok := dnswire.FindTSIG(append(slices.Clone(wire), 0)); ok {
		t.Error("a byte behind the last record is part of the message")
	}
	nameEnd := dnswire.SkipName(wire, off)
	for _, at := range []int{nameEnd + 1, nameEnd + 3, nameEnd + 7} { // type, class, TTL (RFC 8945 section 4.2)
		other := slices.Clone(wire)
		other[at] ^= 1
		if _, _, ok := dnswire.ReadTSIG(other, off, false); ok {
			t.Errorf("with another byte at %d it is a TSIG record", at-nameEnd)
		}
	}
	if off, ok := dnswire.FindTSIG([]byte("0123\x00\x00\x00\x00\x00\x00\x00\x00")); off != 0 || !ok {
		t.Errorf("a message without records: %d, %t", off, ok)
	}
}

func TestSkipName(t *testing.T) {
	long := bytes.Repeat(append([]byte{63}, bytes.Repeat([]byte{'a'}, 63)...), 5)
	for _, c := range []struct {
		text        string
		name, plain int
	}{
		{"\x00", 1, 1},
		{"\x03www\x00rest", 5, 5},
		{"\x03www\xc0\x0c", 6, 0},
		{"\x03www\xc0", 0, 0},
		{"\x03ww", 0, 0},
		{"\x40", 0, 0},
		{"", 0, 0},
		{string(long), 0, 0},
	} {
		if got := dnswire.SkipName([]byte(c.text), 0); got != c.name {
			t.Errorf("SkipName(%q) = %d, want %d", c.text, got, c.name)
		}
		if got := dnswire.SkipPlainName([]byte(c.text), 0); got != c.plain {
			t.Errorf("SkipPlainName(%q) = %d, want %d", c.text, got, c.plain)
		}
	}
}

func TestFindingAllocatesNothing(t *testing.T) {
	wire, _ := signed(t, dnswire.HMACSHA256)
	if n := testing.AllocsPerRun(100, func() {
		_, _ = dnswire.FindTSIG(wire)
		_ = dnswire.SkipPlainName(wire, dnswire.HeaderSize)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFindTSIG: a record that is found is the last of the message, and is
// written as it was read. One whose names are plain is read alike either way.
func FuzzFindTSIG(f *testing.F) {
	q := new(dns.Msg).SetAxfr("example.com.")
	wire, err := q.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	wire, _ = signed(f, dnswire.HMACSHA256)
	f.Add(wire)
	off, _ := dnswire.FindTSIG(wire)
	f.Add(append(append(slices.Clone(wire[:off]), 0xc0, 0x0c), wire[dnswire.SkipName(wire, off):]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		at, ok := dnswire.FindTSIG(b)
		if !ok || at == 0 {
			return
		}
		r, end, ok := dnswire.ReadTSIG(b, at, true)
		if !ok {
			return
		}
		if at < dnswire.HeaderSize || end != len(b) {
			t.Fatalf("it is at %d to %d of %d", at, end, len(b))
		}
		if plain, _, ok := dnswire.ReadTSIG(b, at, false); ok && !bytes.Equal(plain.Append(dnswire.Unsigned(b, at, 0)), r.Append(dnswire.Unsigned(b, at, 0))) {
			t.Fatalf("%+v is also %+v", r, plain)
		}
		again := r.Append(dnswire.Unsigned(b, at, r.ID))
		if len(again) > 65535 {
			return
		}
		off, ok := dnswire.FindTSIG(again)
		if !ok || off != at {
			t.Fatalf("%x is written as %x", b, again)
		}
		back, _, ok := dnswire.ReadTSIG(again, off, false)
		if !ok || !slices.Equal(back.Name, r.Name) || !slices.Equal(back.Algorithm, r.Algorithm) || !slices.Equal(back.MAC, r.MAC) ||
			back.Time != r.Time || back.Error != r.Error || !slices.Equal(back.Other, r.Other) {
			t.Fatalf("%+v is read back as %+v", r, back)
		}
	})
}
