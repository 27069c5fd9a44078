package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// JoinToken is a fresh one-time token. Token is shown once; the store keeps its
// hash.
type JoinToken struct {
	Token     string    `json:"token"`
	Region    string    `json:"region,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Bounds of a join token's life.
const (
	minTokenTTL = time.Minute
	maxTokenTTL = 30 * 24 * time.Hour
)

var (
	regionForm   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
	edgeNameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)
)

// NewJoinToken makes a one-time token for one edge, for region when not "".
// Error: Invalid.
func (f *Fleet) NewJoinToken(ctx context.Context, region string, ttl time.Duration) (JoinToken, error) {
	if region != "" && !regionForm.MatchString(region) {
		return JoinToken{}, badRegion()
	}
	if ttl < minTokenTTL || ttl > maxTokenTTL {
		return JoinToken{}, fault.InvalidField("/ttl_seconds", "a join token lives between one minute and 30 days", "give 60 to 2592000 seconds")
	}
	var secret [20]byte
	rand.Read(secret[:])
	token := "ewj_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret[:]))
	hash := sha256.Sum256([]byte(token))
	now := f.now().UTC()
	t := JoinToken{Token: token, Region: region, ExpiresAt: now.Add(ttl)}
	return t, f.options.Tokens.PutJoinToken(ctx, hash[:], region, now, t.ExpiresAt)
}

func badRegion() error {
	return fault.InvalidField("/region", "a region is a short name of lower-case letters, digits and hyphens", "for example fra or us-east")
}

// Join spends a token and makes the edge. Repeating it with the same token and
// keys gives the same answer. Errors: Unauthenticated (unknown, used or expired
// token), Invalid (also: the token is for another region), Conflict (the name is
// taken).
func (f *Fleet) Join(ctx context.Context, r edgeconfig.JoinRequest) (edgeconfig.JoinReply, error) {
	asked := r.Region
	if err := checkJoin(&r); err != nil {
		return edgeconfig.JoinReply{}, err
	}
	hash := sha256.Sum256([]byte(strings.TrimSpace(r.Token)))
	region, edge, err := f.options.Tokens.UseJoinToken(ctx, hash[:], asked, r.BusKey, resource.NewID("edge"), f.now())
	if err != nil {
		return edgeconfig.JoinReply{}, err
	}
	if region != "" {
		r.Region = region
	}
	r.Simulated = false // only the control plane itself makes such edges
	return f.join(ctx, edge, r, false)
}

// JoinLocal joins an edge of this process: as Join, without a token. The same
// bus key joins once. An edge of this process whose identity is lost (its
// directory is not part of a backup) leaves its name to the one that comes in its
// place: it is revoked.
func (f *Fleet) JoinLocal(ctx context.Context, r edgeconfig.JoinRequest) (edgeconfig.JoinReply, error) {
	if err := checkJoin(&r); err != nil {
		return edgeconfig.JoinReply{}, err
	}
	edge := resource.NewID("edge")
	if known, ok := f.registry.byBusKey(r.BusKey); ok {
		edge = known
	} else if old, ok := f.registry.find(r.Name); ok && old.Name == r.Name && old.Spec.Local && !old.Connected {
		cause := resource.Cause{Actor: "system", Via: "system", Reason: "its identity is lost; another edge of the same process takes its place"}
		if err := f.Revoke(ctx, old.ID, cause); err != nil {
			return edgeconfig.JoinReply{}, err
		}
	}
	return f.join(ctx, edge, r, true)
}

func checkJoin(r *edgeconfig.JoinRequest) error {
	if r.Region == "" {
		r.Region = "default"
	}
	if !regionForm.MatchString(r.Region) {
		return badRegion()
	}
	if r.Name != "" && !edgeNameForm.MatchString(r.Name) {
		return fault.InvalidField("/name", "an edge's name is made of lower-case letters, digits, dots and hyphens", "for example fra-1")
	}
	if !nkeys.IsValidPublicUserKey(r.BusKey) {
		return fault.InvalidField("/bus_key", "not a public user NKey", "join with `edgewright edge --join`")
	}
	if _, err := secrets.SealTo(r.SealingKey, "check", nil); err != nil {
		return fault.InvalidField("/sealing_key", "not a public key", "join with `edgewright edge --join`")
	}
	return nil
}

// join makes the edge's resource unless it is there, and its credentials.
func (f *Fleet) join(ctx context.Context, id string, r edgeconfig.JoinRequest, local bool) (edgeconfig.JoinReply, error) {
	if _, revoked := f.keys().Revoked[r.BusKey]; revoked {
		return edgeconfig.JoinReply{}, fault.New(fault.Forbidden, "this edge was revoked: to take it in again, remove its identity.json and join with a new token")
	}
	stored, err := f.options.Store.Get(ctx, KindEdge, id)
	if fault.Is(err, fault.NotFound) {
		stored, err = f.makeEdge(ctx, id, r, local)
	}
	if err != nil {
		return edgeconfig.JoinReply{}, err
	}
	edge, err := resource.Decode[EdgeSpec, EdgeStatus](stored)
	if err != nil {
		return edgeconfig.JoinReply{}, err
	}
	f.edgeSeen(edge)
	keys := f.keys()
	token, err := keys.edgeJWT(id, edge.Spec.BusKey)
	if err != nil {
		return edgeconfig.JoinReply{}, err
	}
	reply := edgeconfig.JoinReply{
		Edge: id, Region: edge.Spec.Region, Name: edge.Name, BusJWT: token, TrustKeys: keys.trusted(),
	}
	if f.options.Bus.External != "" {
		reply.BusURL, reply.BusRootPEM = f.options.Bus.External, f.options.Bus.ExternalRootPEM
		return reply, nil
	}
	reply.BusRootPEM, reply.BusServerName = keys.busRootPEM(), edgeconfig.BusServerName
	if addr := f.BusAddr(); addr != "" {
		reply.BusURL = "tls://" + busAddress(f.options.Bus, addr)
	}
	return reply, nil
}

// busAddress is what edges dial. Its host is empty when the listener is bound
// to all addresses and none is advertised: the edge then takes the host by which
// it reached the API.
func busAddress(o BusOptions, bound string) string {
	if o.Advertise != "" {
		return o.Advertise
	}
	host, port, err := net.SplitHostPort(bound)
	if err != nil {
		return bound
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	return net.JoinHostPort(host, port)
}

func (f *Fleet) makeEdge(ctx context.Context, id string, r edgeconfig.JoinRequest, local bool) (resource.Resource, error) {
	name := r.Name
	if name == "" {
		name = r.Region + "-" + id[len(id)-6:]
	}
	by := "a join token"
	if local {
		by = "the control plane's process"
	}
	spec, err := json.Marshal(EdgeSpec{Region: r.Region, BusKey: r.BusKey, SealingKey: r.SealingKey, Simulated: r.Simulated, Local: local})
	if err != nil {
		return resource.Resource{}, err
	}
	done, err := f.options.Store.Commit(ctx, resource.Commit{
		Changes: []resource.Change{{Op: resource.Create, Kind: KindEdge, ID: id, Name: name, Spec: spec}},
		Cause:   resource.Cause{Actor: "edge " + id, Via: "system", Reason: "the edge joined with " + by},
	})
	if fault.Is(err, fault.Conflict) {
		// The name, or the same edge asking twice at once.
		if stored, again := f.options.Store.Get(ctx, KindEdge, id); again == nil {
			return stored, nil
		}
		return resource.Resource{}, fault.InvalidField("/name", "another edge is called "+name, "give this one another name, or revoke the other")
	}
	if err != nil {
		return resource.Resource{}, err
	}
	return done.Resources[0], nil
}

// edgeSeen takes in an edge's resource.
func (f *Fleet) edgeSeen(edge resource.Object[EdgeSpec, EdgeStatus]) {
	f.registry.put(edge.Meta, edge.Spec, edge.Status)
	f.tracker.join(edge.ID)
}

// edgeRemoved forgets an edge.
func (f *Fleet) edgeRemoved(id string) {
	f.purges.gone(id)
	f.registry.remove(id)
	f.tracker.leave(id)
	f.live.forget(id)
}

// loadEdges fills the registry before edges can connect.
func (f *Fleet) loadEdges(ctx context.Context) error {
	for q := (resource.Query{Kind: KindEdge, Limit: 1000}); ; {
		page, err := f.options.Store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Items {
			edge, err := resource.Decode[EdgeSpec, EdgeStatus](r)
			if err != nil {
				f.log.Error("edge cannot be read", "edge", r.ID, "error", err)
				continue
			}
			f.edgeSeen(edge)
		}
		if q.Cursor = page.Next; page.Next == "" {
			return nil
		}
	}
}

// watchEdges keeps the registry, on every control plane, until ctx ends.
func (f *Fleet) watchEdges(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.options.Store.Watch(ctx, 0, func(event resource.Event) error {
			if event.Resource.Kind != KindEdge {
				return nil
			}
			if event.Type == resource.Deleted {
				f.edgeRemoved(event.Resource.ID)
				return nil
			}
			edge, err := resource.Decode[EdgeSpec, EdgeStatus](event.Resource)
			if err != nil {
				f.log.Error("edge cannot be read", "edge", event.Resource.ID, "error", err)
				return nil
			}
			f.edgeSeen(edge)
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		f.log.Warn("watching edges was interrupted", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// Edges lists all edges with their live state, in order of ID.
func (f *Fleet) Edges(ctx context.Context) ([]Edge, error) { return f.registry.list(), nil }

// Edge returns one edge, by ID or name. Error: NotFound.
func (f *Fleet) Edge(ctx context.Context, idOrName string) (Edge, error) {
	if e, ok := f.registry.find(idOrName); ok {
		return e, nil
	}
	return Edge{}, fault.New(fault.NotFound, "there is no such edge: list them with `edgewright edges list`").About("edge " + idOrName)
}

// Drain asks an edge to send its clients elsewhere, or takes it back. Errors:
// NotFound, Stale.
func (f *Fleet) Drain(ctx context.Context, idOrName string, draining bool, cause resource.Cause) (Edge, error) {
	edge, err := f.Edge(ctx, idOrName)
	if err != nil {
		return Edge{}, err
	}
	if edge.Spec.Draining == draining {
		return edge, nil
	}
	edge.Spec.Draining = draining
	spec, err := json.Marshal(edge.Spec)
	if err != nil {
		return Edge{}, err
	}
	done, err := f.options.Store.Commit(ctx, resource.Commit{
		Changes: []resource.Change{{Op: resource.Update, Kind: KindEdge, ID: edge.ID, Spec: spec, IfRevision: edge.Revision}},
		Cause:   cause,
	})
	if err != nil {
		return Edge{}, err
	}
	stored, err := resource.Decode[EdgeSpec, EdgeStatus](done.Resources[0])
	if err != nil {
		return Edge{}, err
	}
	f.edgeSeen(stored)
	return f.Edge(ctx, edge.ID)
}

// Revoke removes an edge for good: its connection is closed, its credentials
// are void, and the leader rotates the group key so that it cannot read later
// certificates. Error: NotFound.
func (f *Fleet) Revoke(ctx context.Context, idOrName string, cause resource.Cause) error {
	edge, err := f.removeEdge(ctx, idOrName, cause)
	if err != nil {
		return err
	}
	err = f.voidCredentials(ctx, edge.Spec.BusKey)
	f.edgeRemoved(edge.ID)
	return err
}

// removeEdge removes an edge's resource. The leader does the rest when it sees
// that.
func (f *Fleet) removeEdge(ctx context.Context, idOrName string, cause resource.Cause) (Edge, error) {
	edge, err := f.Edge(ctx, idOrName)
	if err != nil {
		return Edge{}, err
	}
	_, err = f.options.Store.Commit(ctx, resource.Commit{
		Changes: []resource.Change{{Op: resource.Delete, Kind: KindEdge, ID: edge.ID}},
		Cause:   cause,
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Edge{}, err
	}
	return edge, nil
}

// voidCredentials makes the bus refuse a key from now on.
func (f *Fleet) voidCredentials(ctx context.Context, busKey string) error {
	b := f.bus()
	if b == nil {
		return errNotStarted
	}
	err := f.changeKeys(ctx, func(k *keyset) bool {
		if _, already := k.Revoked[busKey]; already {
			return false
		}
		k.Revoked[busKey] = f.now().Unix()
		return true
	})
	if err != nil {
		return err
	}
	return b.revoke(ctx, f.keys())
}
