package zones

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Bounds of zone files.
const (
	MaxZoneFile   = 32 << 20 // bytes
	maxRecords    = 500_000
	maxReportList = 100
)

// Report tells what an import found.
type Report struct {
	Records int       `json:"records"` // read
	Sets    int       `json:"sets"`    // they make
	Created int       `json:"created"`
	Updated int       `json:"updated"`
	Deleted int       `json:"deleted"`
	Same    int       `json:"unchanged"`
	Skipped []Skipped `json:"skipped"` // left out, with the reason; at most 100
	Notes   []string  `json:"notes"`
}

// Skipped is a record of a zone file that is not taken.
type Skipped struct {
	Line   int    `json:"line,omitempty"`
	Record string `json:"record"`
	Reason string `json:"reason"`
	Fix    string `json:"fix,omitempty"`
	Fault  bool   `json:"fault,omitempty"` // it is malformed: the import is refused
}

// ParseZoneFile reads a zone file (RFC 1035 section 5) into sets. What the
// platform makes by itself (SOA, the apex's NS, DNSSEC) is skipped with a reason;
// what is malformed is skipped as a fault, $INCLUDE among it. ALIAS records are as
// Export writes them; comments are not read.
func ParseZoneFile(apex, text string) (sets []Set, report Report, err error) {
	report.Skipped, report.Notes = []Skipped{}, []string{}
	if len(text) > MaxZoneFile {
		return nil, report, fault.New(fault.TooLarge, "the zone file has %d bytes, more than %d", len(text), MaxZoneFile)
	}
	f := &zoneFile{apex: apex, sets: map[string]*fileSet{}, report: &report}
	if err := f.read(text); err != nil {
		return nil, report, err
	}
	report.Sets = len(f.sets)
	for _, name := range sortedKeys(f.sets) {
		s := f.sets[name]
		spec := RRsetSpec{TTL: s.ttl, Values: s.values, Comment: s.comment}
		sets = append(sets, Set{Name: s.owner, Type: s.typ, Spec: mustJSON(spec)})
	}
	return sets, report, nil
}

type zoneFile struct {
	apex   string
	sets   map[string]*fileSet
	report *Report
}

type fileSet struct {
	owner, typ, comment string
	ttl                 int
	values              []string
	wires               map[string]bool
}

// entry is one record of a file as text, with continuation lines joined.
type entry struct {
	line int
	text string
}

// read takes a file record by record, so that one malformed record costs that
// record, and a report names them all.
func (f *zoneFile) read(text string) error {
	origin, ttl, owner := f.apex+".", -1, ""
	entries, err := splitEntries(text)
	if err != nil {
		return err
	}
	for _, e := range entries {
		body := e.text
		fields := words(body)
		if len(fields) == 0 {
			continue
		}
		if strings.HasPrefix(fields[0], "$") {
			if err := f.directive(e, fields, &origin, &ttl); err != nil {
				return err
			}
			continue
		}
		if body[0] == ' ' || body[0] == '\t' {
			if owner == "" {
				f.skip(e, "the first record names no owner", "begin it with a name or @", true)
				continue
			}
			body = owner + " " + strings.TrimSpace(body)
		} else {
			owner = absolute(fields[0], origin)
			body = owner + " " + strings.TrimSpace(body[len(fields[0]):])
		}
		if f.report.Records++; f.report.Records > maxRecords {
			return fault.New(fault.TooLarge, "the zone file has more than %d records", maxRecords)
		}
		f.record(e, body, origin, ttl)
	}
	return nil
}

func (f *zoneFile) skip(e entry, reason, fix string, malformed bool) {
	text := strings.TrimSpace(e.text)
	if len(text) > 160 {
		text = text[:160] + "..."
	}
	if len(f.report.Skipped) < maxReportList || malformed && !f.report.faulty() {
		f.report.Skipped = append(f.report.Skipped, Skipped{Line: e.line, Record: text, Reason: reason, Fix: fix, Fault: malformed})
	}
}

func (r *Report) faulty() bool {
	return slices.ContainsFunc(r.Skipped, func(s Skipped) bool { return s.Fault })
}

func (f *zoneFile) directive(e entry, fields []string, origin *string, ttl *int) error {
	switch strings.ToUpper(fields[0]) {
	case "$ORIGIN":
		if len(fields) != 2 {
			f.skip(e, "$ORIGIN takes one name", "write $ORIGIN "+f.apex+".", true)
			return nil
		}
		*origin = absolute(fields[1], *origin)
	case "$TTL":
		if len(fields) == 2 {
			if n, ok := seconds(fields[1]); ok {
				*ttl = n
				return nil
			}
		}
		f.skip(e, "$TTL takes a time", "write seconds, such as $TTL 3600", true)
	case "$INCLUDE":
		f.skip(e, "$INCLUDE names a file that is not here", "put its content in its place", true)
	case "$GENERATE":
		f.skip(e, "$GENERATE is not understood", "write the records out, as named-compilezone does", true)
	default:
		f.skip(e, fields[0]+" is no directive", "remove the line", true)
	}
	return nil
}

// absolute makes a name whole.
func absolute(name, origin string) string {
	switch {
	case name == "@":
		return origin
	case strings.HasSuffix(name, ".") && !strings.HasSuffix(name, `\.`):
		return name
	case origin == ".":
		return name + "."
	}
	return name + "." + origin
}

// seconds reads a time as zone files write it: 3600, 1h, 1h30m.
func seconds(text string) (int, bool) {
	total, n, any := 0, 0, false
	for _, c := range strings.ToLower(text) {
		unit := map[rune]int{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}[c]
		switch {
		case c >= '0' && c <= '9':
			n, any = n*10+int(c-'0'), true
		case unit > 0 && any:
			total, n, any = total+n*unit, 0, false
		default:
			return 0, false
		}
		if n > 1<<31-1 || total > 1<<31-1 {
			return 0, false
		}
	}
	return total + n, text != ""
}

func (f *zoneFile) record(e entry, body, origin string, ttl int) {
	fields := words(body)
	owner, rest := fields[0], fields[1:]
	own := ttl
	for len(rest) > 0 { // TTL and class, in either order
		if n, ok := seconds(rest[0]); ok {
			own, rest = n, rest[1:]
		} else if class := strings.ToUpper(rest[0]); class == "IN" || class == "CLASS1" {
			rest = rest[1:]
		} else if class == "CH" || class == "HS" || class == "CS" {
			f.skip(e, "the class "+class+" is not served", "write IN", false)
			return
		} else {
			break
		}
	}
	if len(rest) < 2 {
		f.skip(e, "the record has no type or no data", "write NAME TTL TYPE DATA", true)
		return
	}
	typ := strings.ToUpper(rest[0])
	relative, err := ParseOwner(owner, f.apex)
	if err != nil {
		f.skipError(e, err)
		return
	}
	switch {
	case typ == "SOA":
		f.skip(e, "the SOA is made by itself", "", false)
		return
	case typ == "NS" && relative == "@":
		f.skip(e, "the name servers of the zone are given by the platform", "", false)
		return
	case refusedTypes[typ] != "" && strings.Contains(refusedTypes[typ], "made when the zone is signed"), strings.Contains(refusedTypes[typ], "leave them out"):
		f.skip(e, typ+" records are made when the zone is signed", "", false)
		return
	}
	if typ, err = ParseType(typ); err != nil {
		f.skipError(e, err)
		return
	}
	data := strings.Join(rest[1:], " ")
	if fields := nameFields[typ]; fields != nil && !strings.HasPrefix(data, `\#`) {
		parts := words(data)
		for _, i := range fields {
			if i < len(parts) && !strings.HasPrefix(parts[i], `"`) {
				parts[i] = absolute(parts[i], origin)
			}
		}
		data = strings.Join(parts, " ")
	}
	if typ == "TXT" && !strings.HasPrefix(data, `\#`) {
		quoted := words(data)
		for i, w := range quoted {
			if !strings.HasPrefix(w, `"`) { // strings without white space need no quotes there
				quoted[i] = `"` + w + `"`
			}
		}
		data = strings.Join(quoted, " ")
	}
	v, err := parseValue(typ, data, f.apex)
	if err != nil {
		detail, fix, _ := strings.Cut(err.Error(), ": ")
		f.skip(e, detail, fix, true)
		return
	}
	c := &setChecker{owner: relative, typ: typ, apex: f.apex}
	if c.place(); len(c.fields) > 0 {
		f.skip(e, c.fields[0].Detail, c.fields[0].Fix, true)
		return
	}
	f.put(e, relative, typ, own, v)
}

func (f *zoneFile) skipError(e entry, err error) {
	for _, field := range below("", err) {
		f.skip(e, field.Detail, field.Fix, true)
		return
	}
}

func (f *zoneFile) put(e entry, owner, typ string, ttl int, v value) {
	name := RRsetName(owner, typ, f.apex)
	s := f.sets[name]
	if s == nil {
		s = &fileSet{owner: owner, typ: typ, wires: map[string]bool{}}
		f.sets[name] = s
	}
	if s.wires[string(v.wire)] {
		f.skip(e, "the record is given twice", "", false)
		return
	}
	s.wires[string(v.wire)] = true
	s.values = append(s.values, v.text)
	if ttl < 0 {
		return
	}
	if ttl == 0 {
		ttl = minTTL
		f.note("a time to live of 0 becomes %d second", minTTL)
	}
	if ttl > maxTTL {
		ttl = maxTTL
		f.note("times to live above %d seconds become that", maxTTL)
	}
	if s.ttl != 0 && s.ttl != ttl {
		f.note("%s %s has different times to live: the shortest counts (RFC 2181 section 5.2)", FullName(owner, f.apex), typ)
		ttl = min(ttl, s.ttl)
	}
	s.ttl = ttl
}

func (f *zoneFile) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(f.report.Notes) < maxReportList && !slices.Contains(f.report.Notes, text) {
		f.report.Notes = append(f.report.Notes, text)
	}
}

// splitEntries cuts a file into records: comments go, what is in parentheses is
// joined.
func splitEntries(text string) ([]entry, error) {
	var out []entry
	var now strings.Builder
	line, began, depth := 1, 1, 0
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text) && text[i+1] != '\n':
			now.WriteByte(c)
			i++
			now.WriteByte(text[i])
		case c == '\n':
			if quoted {
				return nil, fileFault(line, "a string in quotes does not end on its line", "add the closing quote")
			}
			line++
			if depth > 0 {
				now.WriteByte(' ')
				continue
			}
			if strings.TrimSpace(now.String()) != "" {
				out = append(out, entry{began, now.String()})
			}
			now.Reset()
			began = line
		case quoted:
			quoted = c != '"'
			now.WriteByte(c)
		case c == '"':
			quoted = true
			now.WriteByte(c)
		case c == ';':
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case c == '(':
			depth++
			now.WriteByte(' ')
		case c == ')':
			if depth--; depth < 0 {
				return nil, fileFault(line, "a parenthesis is closed that was not opened", "remove it")
			}
			now.WriteByte(' ')
		case c == '\r':
		case c == 0:
			return nil, fileFault(line, "the file has a zero byte", "send the zone file as text")
		default:
			now.WriteByte(c)
		}
	}
	switch {
	case quoted:
		return nil, fileFault(line, "a string in quotes does not end", "add the closing quote")
	case depth > 0:
		return nil, fileFault(began, "a parenthesis is opened here and not closed", "add )")
	}
	if strings.TrimSpace(now.String()) != "" {
		out = append(out, entry{began, now.String()})
	}
	return out, nil
}

func fileFault(line int, detail, fix string) error {
	return fault.InvalidField("/zone", fmt.Sprintf("line %d: %s", line, detail), fix)
}

// PlanImport plans to bring a zone to a zone file: sets that the file has not
// are removed with replace. The report says what was left out; a malformed
// record refuses the import, unless partial takes what is well-formed.
func (s *Service) PlanImport(ctx context.Context, project, environment, apex, text string, replace, partial, consent bool) (resource.Plan, Report, error) {
	plan := resource.NewPlan(project, environment)
	z, err := s.Get(ctx, project, environment, apex)
	if err != nil {
		return plan, Report{}, err
	}
	sets, report, err := ParseZoneFile(z.Name, text)
	if err != nil {
		return plan, report, err
	}
	if report.faulty() && !partial {
		var fields []fault.Field
		for _, k := range report.Skipped {
			if k.Fault {
				fields = append(fields, fault.Field{Pointer: "/zone", Detail: fmt.Sprintf("line %d: %s", k.Line, k.Reason), Fix: k.Fix})
			}
		}
		return plan, report, fault.InvalidFields(fields)
	}
	for i := range sets {
		// What the file says of a set that is there keeps comment, tags and steering.
		if err := s.keep(ctx, z, &sets[i]); err != nil {
			return plan, report, err
		}
	}
	plan, err = s.PlanEdit(ctx, project, environment, apex, Edit{Sets: sets, Replace: replace, Consent: consent})
	for _, a := range plan.Actions {
		switch a.Op {
		case resource.Create:
			report.Created++
		case resource.Update:
			report.Updated++
		case resource.Delete:
			report.Deleted++
		}
	}
	report.Same = report.Sets - report.Created - report.Updated
	return plan, report, err
}

// keep takes over from a set that is there what a zone file cannot say.
func (s *Service) keep(ctx context.Context, z Zone, set *Set) error {
	r, err := s.set(ctx, z, set.Name, set.Type)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	old, err := DecodeRRset(r)
	if err != nil {
		return err
	}
	spec, err := decodeRRset(r.Name, set.Spec)
	if err != nil {
		return err
	}
	spec.Comment, spec.Tags, spec.Steering = old.Spec.Comment, old.Spec.Tags, old.Spec.Steering
	if spec.TTL == z.Spec.TTL && old.Spec.TTL == 0 {
		spec.TTL = 0
	}
	set.Spec = mustJSON(spec)
	return nil
}

// Import brings a zone to a zone file.
func (s *Service) Import(ctx context.Context, project, environment, apex, text string, replace, partial, consent bool, cause resource.Cause) (Report, error) {
	plan, report, err := s.PlanImport(ctx, project, environment, apex, text, replace, partial, consent)
	if err != nil {
		return report, err
	}
	return report, s.commit(ctx, plan, cause)
}

// Export writes a zone as a zone file: what users have set, with the SOA and the
// name servers, without signatures. Sets that a zone file cannot say (targets,
// ALIAS, steering) are comments that say so. A secondary zone is written as it was
// transferred.
func (s *Service) Export(ctx context.Context, project, environment, apex string, w io.Writer) error {
	z, err := s.Get(ctx, project, environment, apex)
	if err != nil {
		return err
	}
	if z.Spec.Secondary != nil {
		content, err := s.content(ctx, z.ID)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.Unavailable, "the zone has not come from its primary yet: see its transfers").About("zone " + z.Name)
		}
		if err != nil {
			return err
		}
		return content.WriteFile(w)
	}
	stored, err := s.all(ctx, z)
	if err != nil {
		return err
	}
	sets := make([]RRset, 0, len(stored))
	for _, r := range stored {
		set, err := DecodeRRset(r)
		if err != nil {
			return err
		}
		sets = append(sets, set)
	}
	return writeZoneFile(w, z, sets)
}

func writeZoneFile(w io.Writer, z Zone, sets []RRset) error {
	var out strings.Builder
	fmt.Fprintf(&out, "$ORIGIN %s.\n$TTL %d\n", z.Name, z.Spec.TTL)
	servers := z.Status.NameServers
	if len(servers) > 0 {
		contact := "hostmaster." + z.Name
		if name, err := mailbox(z.Spec.Contact); err == nil {
			contact = name
		}
		fmt.Fprintf(&out, "@ %d IN SOA %s. %s. %d %d %d %d %d\n", soaTTL, servers[0], contact, z.Status.Serial, soaRefresh, soaRetry, soaExpire, z.Spec.Negative)
		for _, server := range servers {
			fmt.Fprintf(&out, "@ %d IN NS %s.\n", nsTTL, server)
		}
	}
	slices.SortFunc(sets, func(a, b RRset) int { return strings.Compare(a.Name, b.Name) })
	for _, set := range sets {
		owner, typ, _, err := ParseRRsetName(set.Name)
		if err != nil {
			return err
		}
		ttl := ""
		if set.Spec.TTL > 0 {
			ttl = fmt.Sprintf("%d ", set.Spec.TTL)
		}
		if set.Spec.Comment != "" {
			fmt.Fprintf(&out, "; %s\n", strings.Join(strings.Fields(set.Spec.Comment), " "))
		}
		if t := set.Spec.Target; t != nil {
			fmt.Fprintf(&out, "; %s %sIN %s points at %s: a zone file cannot say that\n", owner, ttl, typ, strings.TrimSpace(t.Kind+" "+t.ID))
		}
		if set.Spec.Steering != nil {
			fmt.Fprintf(&out, "; %s %s is steered, here are the values of everybody else\n", owner, typ)
		}
		for _, v := range set.Spec.Values {
			fmt.Fprintf(&out, "%s %sIN %s %s\n", owner, ttl, typ, v)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}
