package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// fill is one request to the origin and what becomes of its response. It runs
// in a goroutine of its own, so that it does not end with the request that
// began it. Requests for the same key join it unless it is solo.
type fill struct {
	cache  *Cache
	site   *site
	key    string
	hash   uint64
	uri    uint64
	asker  asker
	origin Origin
	stored *Entry // what is being validated, nil without

	solo       bool     // nobody may join
	background bool     // nobody waits; goes on all the same
	vary       []varied // the leader's values of the fields that the key was known to vary on

	// outdated is set by a purge or an invalidation that covers the fill: it is
	// not stored, and who has not begun to answer from it asks anew.
	outdated atomic.Bool

	ctx    context.Context
	cancel context.CancelFunc
	ready  chan struct{} // closed once kind is known

	// Written before ready is closed, read after.
	kind     fillKind
	err      error          // of failed
	status   int            // of the origin's response, 0 without one
	why      string         // why it is not stored
	upstream *http.Response // of private
	meta     *meta          // of streaming
	expected int64          // content length of streaming, -1 when unknown
	fresh    *Entry         // of validated
	own      http.Header    // fields for the leader alone

	mu         sync.Mutex
	users      int // requests that wait or read
	leaderLeft bool
	claimed    bool // upstream has been handed to the leader
	readers    []*reader
	content    Content
	tail       *tail // where the content goes once it can no longer be stored
	written    int64
	done       bool
	failure    error         // why the content is cut short
	entry      *Entry        // once complete and stored: each user pins it
	changed    chan struct{} // closed at the next change; nil when nobody waits
	room       chan struct{} // closed when readers advance; nil when the pump does not wait
	reserved   int64         // bytes of the policy's in-flight account
}

// fillKind is what the origin's response turned out to be.
type fillKind uint8

const (
	failed    fillKind = iota // no usable response
	private                   // for the leader only
	streaming                 // being stored, for all
	validated                 // the stored one is still good
	erring                    // an error that the stored one may stand in for
)

// errCut is what a reader gets when the content ends before its time.
var (
	errCut     = errors.New("the origin's response was cut short")
	errLagging = errors.New("the client reads too slowly for a response that cannot be stored")
)

// start runs the fill. The caller has counted itself among its users, unless
// it is in the background.
func (f *fill) start(ctx context.Context) {
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if !f.cache.begin() {
		f.fail(fault.New(fault.Unavailable, "the edge is shutting down"))
		f.freeSlot()
		return
	}
	stop := context.AfterFunc(f.cache.root, f.cancel)
	go func() {
		defer f.cache.work.Done()
		defer f.freeSlot()
		defer stop()
		defer f.recovered()
		f.run()
	}()
}

// freeSlot gives back the place among the background validations.
func (f *fill) freeSlot() {
	if f.background {
		<-f.cache.background
	}
}

// ask sends the request on.
func (f *fill) ask(stored *Entry) (*http.Response, error) {
	resp, err := f.origin(f.ctx, f.extra(stored))
	if err != nil {
		return nil, err
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	return resp, nil
}

// recovered turns a panic of the origin's code into a failure of this fill.
func (f *fill) recovered() {
	p := recover()
	if p == nil {
		return
	}
	f.cache.options.Logger.Error("panic while asking an origin", "site", f.site.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	err := fault.New(fault.Internal, "the edge failed while asking the origin")
	select {
	case <-f.ready:
		f.finish(nil, err)
	default:
		f.settle(failed, err)
		f.finish(nil, err)
	}
}

// run asks the origin and settles what its response is.
func (f *fill) run() {
	requestTime := f.cache.options.Now()
	resp, err := f.ask(f.stored)
	if err == nil && resp.StatusCode == http.StatusNotModified && f.stored != nil && !f.confirms(resp) {
		// It confirms something that is not stored: ask for the whole.
		resp.Body.Close()
		f.stored = nil
		requestTime = f.cache.options.Now()
		resp, err = f.ask(nil)
	}
	if err != nil {
		f.fail(err)
		return
	}
	f.status = resp.StatusCode
	stripHopByHop(resp.Header)
	r := receive(resp, requestTime, f.cache.options.Now())
	switch {
	case resp.StatusCode == http.StatusNotModified && f.stored != nil:
		resp.Body.Close()
		f.confirm(r)
	case resp.StatusCode == http.StatusNotModified:
		resp.Body.Close()
		f.fail(fault.New(fault.Unavailable, "the origin answered 304 to a request without conditions"))
	case standsIn(resp.StatusCode) && f.stored != nil && !f.stored.gone() && f.stored.staleAfterError(f.asker.rule, &f.asker.control, r.responseTime.UnixNano()):
		resp.Body.Close()
		f.retryLater()
		f.settle(erring, nil)
		f.finish(nil, nil)
	default:
		f.receive(resp, r)
	}
}

// standsIn are the statuses that a stale response may replace (RFC 5861
// section 4).
func standsIn(status int) bool {
	return status == 500 || status >= 502 && status <= 504
}

func (f *fill) fail(err error) {
	f.retryLater()
	f.settle(failed, err)
	f.finish(nil, err)
}

// retryLater keeps background validations of an origin that fails apart.
func (f *fill) retryLater() {
	if f.stored != nil {
		f.stored.retryAt.Store(f.cache.options.Now().Add(time.Second).UnixNano())
	}
}

// receive takes a complete response from the origin.
func (f *fill) receive(resp *http.Response, r *received) {
	m, why := f.cache.judge(&f.asker, r)
	switch {
	case f.asker.view.Method != "GET":
		why = whyMethod
	case why == "" && resp.ContentLength > f.cache.options.MaxObjectBytes:
		why = whyTooLarge
	}
	f.meta = m
	if why != "" {
		f.supersede(resp, r, why)
		f.keepPrivate(resp, why)
		return
	}
	if f.outdated.Load() {
		why = whyPurged // streamed all the same, but not stored
	}
	if m.useNow(f.asker.rule) {
		f.cache.solo.clear(f.hash)
	} else {
		f.avoidWaiting() // stored, but each request has to ask anyway
	}
	f.why, f.expected = why, resp.ContentLength
	if !bodyAllowed(resp.StatusCode) {
		f.expected = 0
	}
	f.own = f.ownFields(r.header, m)
	sink := f.cache.options.Storage.Create(f.expected, f.reserve)
	f.mu.Lock()
	f.content = sink.Content()
	f.mu.Unlock()
	f.settle(streaming, nil)
	f.pump(resp, sink)
}

// useNow reports whether a response could answer a second request at the moment
// of its arrival.
func (m *meta) useNow(rule *Rule) bool {
	o, _ := m.use(rule, &requestControl{maxAge: absent, minFresh: absent, maxStale: absent, staleIfError: absent}, m.responseTime)
	return o == Hit || o == Stale
}

// ownFields are the fields of the origin's response that are not stored and go
// to the request that caused it alone: those named by qualified no-cache and
// private, and the Age that the origin stated.
func (f *fill) ownFields(header http.Header, m *meta) http.Header {
	cc, _ := f.cache.control(header)
	own := http.Header{}
	for _, name := range append(slices.Clone(cc.privateFields), cc.noCacheFields...) {
		if values := header[name]; len(values) > 0 {
			own[name] = values
		}
	}
	if len(header["Age"]) > 0 {
		own["Age"] = []string{decimal(int64(m.age(m.responseTime) / time.Second))}
	}
	return own
}

// keepPrivate hands the response to the leader alone.
func (f *fill) keepPrivate(resp *http.Response, why string) {
	f.why = why
	f.avoidWaiting()
	f.mu.Lock()
	orphan := f.leaderLeft || f.background
	if f.background && resp.StatusCode >= 500 {
		f.retryLater()
	}
	if !orphan {
		f.upstream = resp
	}
	f.mu.Unlock()
	f.settle(private, nil)
	if orphan {
		resp.Body.Close()
		f.cancel()
	}
	f.finish(nil, nil)
}

// avoidWaiting remembers that waiting for this key is in vain. What a request
// with credentials or no-store gets says nothing about others; that the origin
// fails will not last.
func (f *fill) avoidWaiting() {
	if f.asker.view.Method != "GET" || f.asker.control.noStore || len(f.asker.view.Header.Values("Authorization")) > 0 {
		return
	}
	how := f.cache.options.HitForMiss
	if f.status >= 500 {
		how = min(how, time.Second)
	}
	f.cache.solo.set(f.hash, f.cache.options.Now().Add(how).UnixNano())
}

// settle makes the kind known to those who wait. Unless it is streaming, nobody
// may join from now on.
func (f *fill) settle(kind fillKind, err error) {
	f.kind, f.err = kind, err
	if kind != streaming {
		f.site.mu.Lock()
		f.site.unregister(f)
		f.site.mu.Unlock()
	}
	close(f.ready)
}

// finish ends the content: with an entry that is complete, or with the reason
// why there is none.
func (f *fill) finish(e *Entry, failure error) {
	var removed []*Entry
	ok := false
	f.site.mu.Lock()
	f.mu.Lock()
	if e != nil {
		e.residence.state.Store(uint32(f.users)) // before anyone else can pin it
		removed, ok = f.site.insert(e, f, f.cache.options.MaxVariants)
	}
	f.site.unregister(f)
	f.done, f.failure = true, failure
	reserved := f.reserved
	if ok {
		f.entry, f.reserved = e, 0
	}
	idle := f.users == 0
	f.wake()
	f.mu.Unlock()
	f.site.mu.Unlock()
	if ok {
		f.cache.policy.remove(removed...)
		evicted(f.cache.policy.add(e, reserved))
	} else if idle {
		f.releaseReserved()
	}
	if f.kind != private {
		f.cancel() // a private response is cancelled when its body is closed
	}
}

// wake tells readers that something changed; f.mu is held.
func (f *fill) wake() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

func (f *fill) reserve(n int64) bool {
	victims, ok := f.cache.policy.reserve(f.site, n)
	evicted(victims)
	if ok {
		f.mu.Lock()
		f.reserved += n
		f.mu.Unlock()
	}
	return ok
}

func (f *fill) releaseReserved() {
	f.mu.Lock()
	n := f.reserved
	f.reserved = 0
	f.mu.Unlock()
	if n > 0 {
		f.cache.policy.release(f.site, n)
	}
}

// leave takes a user out. When the last one goes, a fill that is not nearly
// complete is given up: finishing it would let clients that hang up at once
// make the origin send everything.
func (f *fill) leave(leader bool) {
	f.mu.Lock()
	f.users--
	f.leaderLeft = f.leaderLeft || leader
	var unclaimed *http.Response
	if leader && !f.claimed {
		unclaimed, f.upstream = f.upstream, nil
	}
	entry, last, done := f.entry, f.users == 0, f.done
	f.drained()
	f.mu.Unlock()
	if entry != nil {
		entry.Unpin()
	}
	if unclaimed != nil {
		unclaimed.Body.Close()
		f.cancel()
	}
	switch {
	case last && done:
		f.releaseReserved()
	case last:
		f.abandon()
	}
}

// abandon gives the fill up, unless somebody joined meanwhile or it is worth
// going on.
func (f *fill) abandon() {
	f.site.mu.Lock()
	f.mu.Lock()
	give := f.users == 0 && !f.done && !f.background && !f.worthFinishing()
	if give {
		f.site.unregister(f) // nobody may join what is being cancelled
	}
	f.mu.Unlock()
	f.site.mu.Unlock()
	if give {
		f.cancel()
	}
}

// finishableBytes is how much may be missing when a fill goes on for nobody.
const finishableBytes = 1 << 20

// worthFinishing reports whether a fill that nobody waits for goes on: its
// content is storable, of known length, and little or the smaller half of it is
// missing. f.mu is held.
func (f *fill) worthFinishing() bool {
	if f.content == nil || f.tail != nil || f.expected < 0 || f.outdated.Load() {
		return false
	}
	missing := f.expected - f.written
	return missing <= finishableBytes || missing <= f.written
}
