package fleet

import (
	"crypto/ed25519"
	"encoding/json"

	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/edgeconfig"
)

// PublishRaw sends anything on any subject, as a broken or hostile broker could.
func (f *Fleet) PublishRaw(subject string, message any) error {
	data, is := message.([]byte)
	if !is {
		var err error
		if data, err = json.Marshal(message); err != nil {
			return err
		}
	}
	return f.bus().conn.Publish(subject, data)
}

// Signer is the key that signs documents.
func (f *Fleet) Signer() ed25519.PrivateKey { return f.keys().signer() }

// GroupNames are the group keys that are about.
func (f *Fleet) GroupNames() []string { return f.keys().groupNames() }

// Handle is what an edge's message causes.
func (f *Fleet) Handle(edge, what, reply string, data []byte) (any, bool) {
	return f.handle(edge, what, reply, data)
}

// Connection is what the bus's own events cause.
func (f *Fleet) Connection(data []byte, up bool) { f.connection(data, up) }

// SendManifest sends a manifest out of turn.
func (f *Fleet) SendManifest() { f.askManifest() }

// ForgetRollouts drops what is followed in detail, as a restart does.
func (f *Fleet) ForgetRollouts() {
	f.tracker.mu.Lock()
	defer f.tracker.mu.Unlock()
	for len(f.tracker.order) > 0 {
		f.tracker.drop(f.tracker.order[0])
	}
}

// ConnectAs opens a bus connection with an edge's credentials.
func (f *Fleet) ConnectAs(options ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(nats.DefaultURL, append(options, nats.InProcessServer(f.bus().server))...)
}

var (
	SubjectAll  = edgeconfig.SubjectDownAll
	NewTracker  = newTracker
	NewRegistry = newRegistry
)
