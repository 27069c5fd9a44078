package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/client"
)

type logsCommand struct {
	Only  []string `placeholder:"TYPE" enum:"change, rollout, live, edge, purge, operation" help:"Only these: ${enum}. Default: all but live."`
	Count int      `short:"n" placeholder:"N" help:"End after this many. Default: go on until Ctrl-C."`
}

func (logsCommand) Help() string {
	return "With -o json, one object on each line. A lost connection is taken up again, without losing changes.\n\n" + examples(
		"edgewright logs",
		"edgewright logs --only live",
		"edgewright logs --only rollout -o json | jq -c '.data'")
}

func (c *logsCommand) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	n := 0
	for e, err := range cl.Events(a.ctx) {
		if err != nil {
			return err
		}
		if len(c.Only) == 0 && e.Type == client.EventLive || len(c.Only) > 0 && !slices.Contains(c.Only, e.Type) {
			continue
		}
		if err := a.printEvent(e); err != nil {
			return err
		}
		if n++; n == c.Count {
			return nil
		}
	}
	return nil // Ctrl-C is how one leaves
}

func (a *app) printEvent(e client.Event) error {
	switch a.flags.Output {
	case "json":
		raw, err := json.Marshal(e)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s\n", raw)
		return err
	case "yaml":
		fmt.Fprintln(a.out, "---")
		return writeYAML(a.out, e)
	}
	at := a.now().Local().Format("15:04:05")
	_, err := fmt.Fprintf(a.out, "%s  %s  %s\n", a.ink.dim(at), a.ink.cyan(fmt.Sprintf("%-9s", clean(e.Type))), a.eventText(e))
	return err
}

// eventText words an event; one that this program does not know is shown as
// it came.
func (a *app) eventText(e client.Event) string {
	var (
		change    client.ChangeEvent
		rollout   client.RolloutEvent
		live      client.LiveEvent
		edge      client.EdgeEvent
		purge     client.PurgeEvent
		operation client.OperationEvent
	)
	read := func(v any) bool { return json.Unmarshal(e.Data, v) == nil }
	switch {
	case e.Type == client.EventChange && read(&change):
		verb := map[string]string{"put": "written", "status": "moved on", "deleted": "removed"}[change.Type]
		return fmt.Sprintf("%s %s %s %s", clean(change.Kind), a.ink.bold(clean(change.Name)), verb, a.ink.dim(fmt.Sprintf("revision %d", change.Revision)))
	case e.Type == client.EventRollout && read(&rollout):
		text := rolloutText(rollout.Rollout)
		if rollout.Rollout.Edges > 0 && rollout.Rollout.Verified == rollout.Rollout.Edges {
			text = a.ink.green(text)
		}
		return fmt.Sprintf("revision %d %s", rollout.Revision, text)
	case e.Type == client.EventLive && read(&live):
		hits := ""
		if live.Total.Requests > 0 {
			hits = fmt.Sprintf(", %.0f%% from cache", 100*live.Total.Hits/live.Total.Requests)
		}
		return fmt.Sprintf("%.1f requests/s%s, %s/s, %.1f errors/s", live.Total.Requests, hits, bytesText(int64(live.Total.Bytes)), live.Total.Errors)
	case e.Type == client.EventEdge && read(&edge):
		return fmt.Sprintf("%s (%s) is %s", a.ink.bold(clean(edge.Edge.Name)), clean(edge.Edge.Region), a.ink.state(clean(edge.Edge.State)))
	case e.Type == client.EventPurge && read(&purge):
		p := purge.Purge
		return fmt.Sprintf("%s %s on %d of %d edges, %s", clean(p.ID), clean(p.State), p.Edges.Acknowledged, p.Edges.Total, count(p.Count, "response", "responses"))
	case e.Type == client.EventOperation && read(&operation):
		o := operation.Operation
		return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", clean(o.Kind), clean(o.Resource), a.ink.state(clean(o.State)), clean(o.Step)))
	case e.Type == client.EventReset:
		return "too much was missed; look at \"edgewright history\""
	}
	return clean(string(e.Data))
}
