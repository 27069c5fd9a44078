package agent

import (
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/edgeconfig"
)

// spool keeps rollups until the control plane has stored them: in files, one
// each, or without a directory in memory. The oldest go when there are too many.
type spool struct {
	dir    string
	log    *slog.Logger
	names  []string // files, oldest first
	memory []edgeconfig.Rollup
}

const (
	spoolName      = "rollups"
	maxSpoolFiles  = 7 * 24 * 60 // a week of minutes
	maxSpoolMemory = 60
	maxRollupBytes = 900 << 10 // of one message
)

func newSpool(dir string, log *slog.Logger) *spool {
	s := &spool{log: log}
	if dir == "" {
		return s
	}
	s.dir = filepath.Join(dir, spoolName)
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return s // made with the first rollup
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".json") {
			s.names = append(s.names, name)
		} else {
			_ = os.Remove(filepath.Join(s.dir, name)) // what a crash left
		}
	}
	slices.Sort(s.names) // names begin with the time
	return s
}

func (s *spool) len() int { return len(s.names) + len(s.memory) }

// add keeps a rollup; one that is too large for a message is kept in parts.
func (s *spool) add(r edgeconfig.Rollup) {
	data, err := json.Marshal(r)
	if err != nil {
		s.log.Error("rollup lost", "rollup", r.ID, "error", err)
		return
	}
	if len(data) > maxRollupBytes && len(r.Sites)+len(r.Zones)+len(r.Fetches) > 1 {
		for _, half := range halves(r) {
			s.add(half)
		}
		return
	}
	if s.dir == "" {
		s.memory = append(s.memory, r)
		s.memory = s.memory[max(0, len(s.memory)-maxSpoolMemory):]
		return
	}
	// The ID is edge/time/run; the file's name begins with the time.
	_, rest, _ := strings.Cut(r.ID, "/")
	name := strings.ReplaceAll(rest, "/", "-") + ".json"
	if err := writeFile(filepath.Join(s.dir, name), data); err != nil {
		s.log.Error("rollup not kept on disk", "rollup", r.ID, "error", err)
		s.memory = append(s.memory, r)
		s.memory = s.memory[max(0, len(s.memory)-maxSpoolMemory):]
		return
	}
	if !slices.Contains(s.names, name) {
		s.names = append(s.names, name)
	}
	for len(s.names) > maxSpoolFiles {
		s.drop(0)
	}
}

// halves cuts a rollup in two, each with an ID of its own: its sites in order,
// then its zones, then the fetches of each zone.
func halves(r edgeconfig.Rollup) [2]edgeconfig.Rollup {
	var parts [2]edgeconfig.Rollup
	for i := range parts {
		parts[i] = r
		parts[i].ID += string(rune('a' + i))
		parts[i].Sites, parts[i].Zones, parts[i].Fetches = map[string]edgeconfig.Counters{}, map[string]edgeconfig.ZoneCounters{}, map[string][]edgeconfig.Fetch{}
	}
	all := len(r.Sites) + len(r.Zones) + len(r.Fetches)
	for i, site := range slices.Sorted(maps.Keys(r.Sites)) {
		parts[2*i/all].Sites[site] = r.Sites[site]
	}
	for i, zone := range slices.Sorted(maps.Keys(r.Zones)) {
		parts[2*(len(r.Sites)+i)/all].Zones[zone] = r.Zones[zone]
	}
	for i, zone := range slices.Sorted(maps.Keys(r.Fetches)) {
		parts[2*(len(r.Sites)+len(r.Zones)+i)/all].Fetches[zone] = r.Fetches[zone]
	}
	return parts
}

// oldest returns the rollup to send next.
func (s *spool) oldest() (r edgeconfig.Rollup, id string, ok bool) {
	if len(s.memory) > 0 {
		return s.memory[0], s.memory[0].ID, true
	}
	for len(s.names) > 0 {
		data, err := os.ReadFile(filepath.Join(s.dir, s.names[0]))
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if err == nil {
			return r, s.names[0], true
		}
		s.log.Warn("rollup on disk cannot be read; it is dropped", "file", s.names[0], "error", err)
		s.drop(0)
	}
	return r, "", false
}

// remove forgets a rollup that is stored.
func (s *spool) remove(id string) {
	s.memory = slices.DeleteFunc(s.memory, func(r edgeconfig.Rollup) bool { return r.ID == id })
	if i := slices.Index(s.names, id); i >= 0 {
		s.drop(i)
	}
}

func (s *spool) drop(i int) {
	if err := os.Remove(filepath.Join(s.dir, s.names[i])); err != nil {
		s.log.Warn("rollup on disk cannot be removed", "file", s.names[i], "error", err)
	}
	s.names = slices.Delete(s.names, i, i+1)
}
