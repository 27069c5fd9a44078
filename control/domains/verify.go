package domains

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

const (
	challengeLabel = "_edgewright-challenge"
	challengePath  = "/.well-known/edgewright-verification/"
	tokenKeyName   = "domains/token-key"
	recordTTL      = 300 // seconds
)

// VerifyResult is what a check found.
type VerifyResult struct {
	Verified bool
	Records  []DNSRecord
	File     *File
	Domain   Domain
}

// Verify looks for proof now, by a method ("": what the domain prefers). That
// nothing is found is no error: the Ownership condition says what was seen. The
// method email sends the links, unless some are on their way (SendMail). Errors:
// NotFound, Invalid (unknown method, file for a wildcard), Unavailable (email:
// this platform sends no mail).
func (s *Service) Verify(ctx context.Context, project, environment, domain, method string) (VerifyResult, error) {
	d, err := s.Get(ctx, project, environment, domain)
	if err != nil {
		return VerifyResult{}, err
	}
	mode := checkPreferred
	switch method {
	case "":
	case MethodDNS:
		mode = checkDNS
	case MethodFile:
		if strings.HasPrefix(d.Name, "*.") {
			return VerifyResult{}, fault.InvalidField("/method", "a file proves one host, not a wildcard", `use "dns"`)
		}
		mode = checkFile
	case MethodEmail:
		if d, err = s.SendMail(ctx, project, environment, domain, "", false); err != nil {
			return VerifyResult{}, err
		}
		mode = checkNothing
	default:
		return VerifyResult{}, fault.InvalidField("/method", fmt.Sprintf("%q is not a method", method), `use "dns", "file" or "email"`)
	}
	if d, err = s.refresh(ctx, d, mode); err != nil {
		return VerifyResult{}, err
	}
	return VerifyResult{Verified: d.Status.Verified, Records: d.Status.Records, File: d.Status.File, Domain: d}, nil
}

type checkMode int

const (
	checkNothing   checkMode = iota // bring the status in line with the claim only
	checkPreferred                  // the domain's method, or DNS, then file
	checkDNS
	checkFile
	checkBoth  // DNS, then file, whatever the domain prefers
	checkAgain // whether the proof of a verified domain is still there
)

// finding is what one look at the world found about ownership.
type finding struct {
	verified   bool
	method     string
	verifiedAt time.Time

	checked  bool
	txt      []Seen // nil: not looked
	txtFound bool
	file     *File // nil: not looked
	fileGone bool  // the server itself says that there is no such file

	reason, message string // of Ownership when not verified; "": unchanged

	again proofState // of a verified domain
}

// refresh finds out who owns the name, looks for proof as mode says, takes the
// claim when there is proof, and writes the status.
func (s *Service) refresh(ctx context.Context, d Domain, mode checkMode) (Domain, error) {
	name, err := ParseName(d.Name)
	if err != nil {
		return d, err
	}
	found, err := s.examine(ctx, d, name, mode)
	if err != nil {
		return d, err
	}
	return s.write(ctx, d.ID, func(d *Domain) { s.record(d, found) })
}

// examine is refresh without the writing of status.
func (s *Service) examine(ctx context.Context, d Domain, name Name, mode checkMode) (finding, error) {
	var f finding
	held, err := s.holds(ctx, d, &f)
	if err != nil {
		return f, err
	}
	proven := ""
	switch {
	case s.free(name):
		if err := s.checkPlatform(name); err != nil { // plans of users come here unasked
			f.reason, f.message = "Reserved", plain(err)
			return f, nil
		}
		proven = MethodNotRequired
	case mode == checkAgain && held:
		f.again = s.lookAgain(ctx, d, name, &f)
	case mode != checkNothing && mode != checkAgain:
		proven = s.look(ctx, d, name, mode, &f)
	}
	if held && proven != "" {
		f.again = proofThere
	}
	if held || proven == "" {
		return f, nil
	}
	err = s.take(ctx, d, name, proven, resource.Cause{Actor: "system verification", Via: "system"})
	switch {
	case err == nil:
		_, err = s.holds(ctx, d, &f)
		return f, err
	case fault.Is(err, fault.Conflict):
		f.reason, f.message = "ClaimedElsewhere", plain(err)
		return f, nil
	default:
		return f, err
	}
}

// holds reports whether the domain has the claim on its name, and notes it.
func (s *Service) holds(ctx context.Context, d Domain, f *finding) (bool, error) {
	r, err := s.findClaim(ctx, d.Name)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	claim, err := DecodeClaim(r)
	if err != nil || claim.Spec.DomainID != d.ID {
		return false, err
	}
	f.verified, f.method, f.verifiedAt = true, claim.Spec.Method, r.UpdatedAt
	return true, nil
}

// look checks the world for proof and returns the method that gave it, or "".
func (s *Service) look(ctx context.Context, d Domain, name Name, mode checkMode, f *finding) string {
	f.checked = true
	switch {
	case mode == checkPreferred && d.Spec.Method == MethodFile:
		mode = checkFile
	case mode == checkPreferred && d.Spec.Method == MethodEmail:
		c := mailCondition(Mail{}, s.Now())
		if d.Status.Mail != nil {
			c = mailCondition(*d.Status.Mail, s.Now())
		}
		f.reason, f.message = c.Reason, c.Message
		return ""
	}
	if mode != checkFile {
		record := challengeName(name)
		f.txt = s.lookupEverywhere(ctx, record, "TXT")
		f.txtFound, f.reason, f.message = judgeTXT(record, d.Status.values(), f.txt)
		if f.txtFound {
			return MethodDNS
		}
	}
	if mode == checkDNS || name.Wildcard || d.Status.File == nil {
		return ""
	}
	file := *d.Status.File
	err := s.fetchFile(ctx, file)
	for _, former := range d.Status.Former {
		if err != nil && former.URL != "" && s.fetchFile(ctx, File{URL: former.URL, Content: former.Content}) == nil {
			err = nil
		}
	}
	file.Found, file.Error = err == nil, ""
	if err == nil {
		f.file = &file
		return MethodFile
	}
	file.Error = plain(err)
	f.file, f.fileGone = &file, fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid)
	if mode == checkFile {
		f.reason, f.message = "FileNotFound", fmt.Sprintf("the file at %s was not found: %s. Put it there with exactly the content shown, then check again", file.URL, file.Error)
	}
	return ""
}

// fetchFile looks at the file over http, then https for servers without http.
func (s *Service) fetchFile(ctx context.Context, file File) error {
	if s.Fetcher == nil {
		return fault.New(fault.Unavailable, "files are not fetched here")
	}
	body, err := s.Fetcher.Fetch(ctx, file.URL)
	if err == nil && strings.TrimSpace(string(body)) == file.Content {
		return nil
	}
	secure, secureErr := s.Fetcher.Fetch(ctx, "https://"+strings.TrimPrefix(file.URL, "http://"))
	if secureErr == nil && strings.TrimSpace(string(secure)) == file.Content {
		return nil
	}
	if err == nil || secureErr == nil {
		return fault.New(fault.Invalid, "there is something else at this address")
	}
	return err
}

// values are the TXT records that prove the domain: the project's own, and those
// of who handed it over.
func (st Status) values() []string {
	list := []string{st.VerificationToken}
	for _, former := range st.Former {
		list = append(list, former.Value)
	}
	return list
}

// lookupEverywhere asks the name's own name servers, past all caches, and then
// the resolvers.
func (s *Service) lookupEverywhere(ctx context.Context, name, typ string) []Seen {
	var seen []Seen
	if s.Authorities != nil {
		if zone, err := s.Authorities.Zone(ctx, name); err == nil {
			seen = s.Authorities.Ask(ctx, zone, name, typ)
		}
	}
	return append(seen, s.Resolvers.Lookup(ctx, name, typ)...)
}

// judgeTXT says whether the record counts as seen. When the zone's own servers
// tell, they decide, by more than half of those that answer: resolvers may keep
// for an hour that there was nothing. Else at least half of the resolvers must see
// it. So one poisoned cache, or one server of several, cannot give a name away.
func judgeTXT(name string, tokens []string, seen []Seen) (found bool, reason, message string) {
	token := tokens[0]
	own, others, failed := count(tokens, seen, true)
	who, with, all := "name servers of the zone", own.with, own.with+own.without
	if all == 0 {
		var resolvers tally
		resolvers, others, failed = count(tokens, seen, false)
		who, with, all = "resolvers", resolvers.with, resolvers.with+resolvers.without+failed
		if with > 0 && 2*with >= all {
			return true, "", ""
		}
	} else if 2*with > all {
		return true, "", ""
	}
	switch {
	case with > 0:
		return false, "Spreading", fmt.Sprintf("%d of %d %s see the TXT record at %s: the others follow", with, all, who, name)
	case all == failed:
		return false, "LookupFailed", fmt.Sprintf("no resolver answered for %s: the zone's name servers may be unreachable, or the resolvers of this platform are", name)
	case len(others) > 0:
		return false, "RecordWrong", fmt.Sprintf("the TXT record at %s says %q: set it to %q, or add that as a second record", name, others[0], token)
	default:
		return false, "RecordNotFound", fmt.Sprintf("there is no TXT record at %s yet: add it with the value %q", name, token)
	}
}

type tally struct{ with, without int }

// count counts the answers of one sort of servers. What failed counts for
// nothing; others are the values that stand there in place of a token.
func count(tokens []string, seen []Seen, authoritative bool) (n tally, others []string, failed int) {
	for _, s := range seen {
		if s.Authoritative != authoritative {
			continue
		}
		switch {
		case slices.ContainsFunc(s.Answers, func(a string) bool { return slices.Contains(tokens, strings.TrimSpace(a)) }):
			n.with++
		case s.Error != "" && s.Error != errNoName.Error():
			failed++
		default:
			n.without++
			others = append(others, s.Answers...)
		}
	}
	return n, others, failed
}

func challengeName(name Name) string { return challengeLabel + "." + name.Base }

// record writes a finding into the status.
func (s *Service) record(d *Domain, f finding) {
	now := s.Now().UTC().Truncate(time.Second)
	st := &d.Status
	if f.checked {
		st.CheckedAt = &now
	}
	for i := range st.Records {
		if r := &st.Records[i]; r.Purpose == PurposeOwnership && f.txt != nil {
			r.Seen, r.Found = f.txt, f.txtFound
		}
	}
	if f.file != nil && st.File != nil {
		st.File.Found, st.File.Error = f.file.Found, f.file.Error
	}
	if f.verified {
		at := f.verifiedAt.UTC()
		if !st.Verified {
			text := d.Name + " is verified by " + f.method
			if f.method == MethodNotRequired {
				text = d.Name + " needs no proof"
			}
			st.Note(now, EventVerified, Info, text, map[string]string{"method": f.method})
		}
		st.Verified, st.Method, st.VerifiedAt = true, f.method, &at
		st.Attempts, st.NextCheckAt = 0, nil
		s.recordProof(d, f, now)
		c := resource.Condition{Type: Ownership, Status: resource.True, Reason: "Verified", Message: "verified by " + f.method, Since: now}
		if f.method == MethodNotRequired {
			c.Reason, c.Message = "NotRequired", "this name needs no proof"
		}
		st.Conditions = resource.SetCondition(st.Conditions, c)
		return
	}
	st.Verified, st.Method, st.VerifiedAt = false, "", nil
	st.ProvenAt, st.RecheckAt, st.LostAt, st.ReleaseAt = nil, nil, nil, nil
	st.Conditions = slices.DeleteFunc(st.Conditions, func(c resource.Condition) bool { return c.Type == Proof })
	if f.checked {
		st.Attempts++
		next := now.Add(checkInterval(st.Attempts))
		st.NextCheckAt = &next
	} else if st.NextCheckAt == nil {
		st.NextCheckAt = &now
	}
	c, known := resource.ConditionOf(st.Conditions, Ownership)
	if f.reason != "" {
		c = resource.Condition{Type: Ownership, Status: resource.False, Reason: f.reason, Message: f.message, Since: now}
	} else if !known || c.Status == resource.True {
		c = resource.Condition{Type: Ownership, Status: resource.False, Reason: "Pending", Message: "not checked yet: set the TXT record or the file", Since: now}
	}
	st.Conditions = resource.SetCondition(st.Conditions, c)
}

// checkInterval is the wait after so many checks in vain: seconds while the user
// is likely at the keyboard, a day once the domain looks forgotten.
func checkInterval(attempts int) time.Duration {
	switch {
	case attempts < 60: // ten minutes
		return 10 * time.Second
	case attempts < 180: // an hour more
		return 30 * time.Second
	case attempts < 450: // a day
		return 5 * time.Minute
	case attempts < 450+24*14:
		return time.Hour
	default:
		return 24 * time.Hour
	}
}

// write changes a domain's status. change sees the latest one, completed; it runs
// in the transaction that writes it, so that nobody writes in between, and must not
// ask anything.
func (s *Service) write(ctx context.Context, id string, change func(*Domain)) (Domain, error) {
	return s.rewrite(ctx, id, false, change)
}

// rewrite is write. With fresh, what change empties is completed again in the same
// transaction, with the tokens of now: no other writer meets a status without, and
// none brings back those that are spent.
func (s *Service) rewrite(ctx context.Context, id string, fresh bool, change func(*Domain)) (Domain, error) {
	r, err := s.Store.Get(ctx, Kind, id)
	if err != nil {
		return Domain{}, err
	}
	seen, err := s.read(r)
	if err != nil {
		return Domain{}, err
	}
	known, err := s.knows(ctx, seen, fresh)
	if err != nil {
		return Domain{}, err
	}
	return resource.ChangeStatus(ctx, s.Store, Kind, id, func(d *Domain) bool {
		known.complete(&d.Status)
		change(d)
		if fresh {
			known.complete(&d.Status)
		}
		return true
	})
}

// read decodes a stored domain, and leaves its status as it is.
func (s *Service) read(r resource.Resource) (Domain, error) {
	d, err := Decode(r)
	if err != nil {
		return d, fault.New(fault.Internal, "a stored domain cannot be read: %w", err).About("domain " + r.Name)
	}
	return d, nil
}

// decode decodes a stored domain and completes its status.
func (s *Service) decode(ctx context.Context, r resource.Resource) (Domain, error) {
	d, err := s.read(r)
	if err != nil {
		return d, err
	}
	known, err := s.knows(ctx, d, false)
	if err == nil {
		known.complete(&d.Status)
	}
	return d, err
}

// known is what a domain's status is completed with: token, records and file are
// functions of the name, the platform's settings and what was seen.
type known struct {
	name           Name
	free           bool
	token, content string
	targets        []DNSRecord
}

// knows gathers it: tokens only where the status has none, or fresh ones are wanted.
func (s *Service) knows(ctx context.Context, d Domain, fresh bool) (known, error) {
	name, err := ParseName(d.Name)
	if err != nil {
		return known{}, fault.New(fault.Internal, "a stored domain has a name that is none: %w", err).About("domain " + d.Name)
	}
	k := known{name: name, free: s.free(name)}
	if fresh || d.Status.VerificationToken == "" || d.Status.File == nil && k.file() {
		if k.token, k.content, err = s.tokens(ctx, d, name); err != nil {
			return k, err
		}
	}
	if !k.free {
		k.targets, err = s.routing(ctx, name)
	}
	return k, err
}

// file reports whether a file can prove the name.
func (k known) file() bool { return !k.free && !k.name.Wildcard }

// complete fills in what a status lacks.
func (k known) complete(st *Status) {
	if st.VerificationToken == "" {
		st.VerificationToken = k.token
	}
	if st.VerificationToken == "" { // emptied since it was looked: the next look completes it
		st.Records, st.File = nil, nil
		return
	}
	old := st.Records
	st.Records = []DNSRecord{}
	if !k.free {
		st.Records = append(append(st.Records, ownershipRecord(k.name, st.VerificationToken)), k.targets...)
	}
	for i := range st.Records {
		for _, o := range old {
			if r := &st.Records[i]; o.Purpose == r.Purpose && o.Type == r.Type && o.FullName == r.FullName && o.Value == r.Value {
				r.Seen, r.Found = o.Seen, o.Found
			}
		}
	}
	if !k.file() {
		st.File = nil
	} else if st.File == nil && k.content != "" {
		st.File = &File{URL: "http://" + k.name.ASCII + challengePath + st.VerificationToken, Content: k.content}
	}
}

// tokens returns the value of the TXT record and the content of the file: the same
// as long as the domain is there, and none that anybody can compute for another
// one. A domain that was removed has spent its tokens: should it come back, by a
// revert, under its old ID, it gets others. The file's content cannot be derived
// from its URL, so a server that repeats the URL proves nothing.
func (s *Service) tokens(ctx context.Context, d Domain, name Name) (token, content string, err error) {
	key, err := s.tokenKey(ctx)
	if err != nil {
		return "", "", err
	}
	spent, err := s.Vault.Secret(ctx, spentName(d.ID))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", "", err
	}
	derive := func(purpose string) string {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s\x00%s\x00%s\x00%s\x00%x", purpose, d.Project, name.Base, d.ID, spent)
		return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac.Sum(nil)[:20]))
	}
	return derive("dns"), derive("file"), nil
}

func spentName(id string) string { return "domains/spent/" + id }

// spend makes a removed domain's tokens worthless.
func (s *Service) spend(ctx context.Context, id string) error {
	return s.Vault.PutSecret(ctx, spentName(id), []byte(rand.Text()))
}

func (s *Service) tokenKey(ctx context.Context) ([]byte, error) {
	s.keyMu.Lock()
	defer s.keyMu.Unlock()
	if s.key != nil {
		return s.key, nil
	}
	key, err := s.Vault.Secret(ctx, tokenKeyName)
	if fault.Is(err, fault.NotFound) {
		fresh := make([]byte, 32)
		rand.Read(fresh) // never fails
		if err := s.Vault.PutSecret(ctx, tokenKeyName, fresh); err != nil {
			return nil, err
		}
		key, err = s.Vault.Secret(ctx, tokenKeyName)
	}
	if err != nil {
		return nil, err
	}
	s.key = key
	return key, nil
}

// plain is a fault's text without the resource it is about.
func plain(err error) string {
	if f, ok := err.(*fault.Error); ok {
		return f.Message
	}
	return err.Error()
}
