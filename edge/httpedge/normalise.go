package httpedge

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/edgewright/edgewright/edge/request"
	"github.com/edgewright/edgewright/fault"
)

// normalise makes the view that all later phases, the cache key and the origin
// share. What cannot be normalised is refused: two readers would read it in two
// ways.
func (x *exchange) normalise() bool {
	r := x.r
	x.view = request.View{
		Method: r.Method, Scheme: "http", Header: request.Fields(r.Header),
		ClientIP: request.PeerIP(r.RemoteAddr), Proto: r.Proto,
	}
	if r.TLS != nil {
		x.view.Scheme = "https"
	}
	if r.Method == http.MethodTrace || r.Method == http.MethodConnect && extendedProtocol(r) == "" {
		return x.fail(http.StatusMethodNotAllowed, sideClient, "This method is not served here.")
	}
	method := r.Method
	target, err := request.ParseTarget(method, r.RequestURI)
	if err != nil {
		if fault.Is(err, fault.TooLarge) {
			return x.fail(http.StatusRequestURITooLong, sideClient, sentence(err))
		}
		return x.fail(http.StatusBadRequest, sideClient, sentence(err))
	}
	if target.Scheme != "" && target.Scheme != x.view.Scheme {
		return x.fail(http.StatusMisdirectedRequest, sideClient, "The scheme of the request is not the one of its connection.")
	}
	authority := r.Host
	if target.Authority != "" {
		authority = target.Authority
	}
	// HTTP/2 may carry Host beside :authority; net/http looks at one only.
	if host := r.Header["Host"]; len(host) > 1 || len(host) == 1 && host[0] != r.Host {
		return x.fail(http.StatusBadRequest, sideClient, "The request names two different hosts.")
	}
	if length := r.Header["Content-Length"]; r.ProtoMajor >= 2 && length != nil && (len(length) > 1 || !decimal(length[0])) {
		return x.fail(http.StatusBadRequest, sideClient, "The Content-Length is not one decimal number.")
	}
	if x.view.Authority, _, err = request.Authority(authority); err != nil {
		return x.fail(http.StatusBadRequest, sideClient, sentence(err))
	}
	x.view.Path, x.view.Query = target.Path, target.Query
	if !x.findBody() {
		return x.fail(http.StatusBadRequest, sideClient, "The content of the request broke off.")
	}
	return false
}

// findBody learns whether content follows. HTTP/2 and 3 say so only with the
// end of the stream, which for a GET is on its way with the head.
func (x *exchange) findBody() bool {
	r := x.r
	if r.ProtoMajor >= 2 && r.ContentLength < 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		var first [1]byte
		n, err := io.ReadFull(r.Body, first[:])
		switch {
		case errors.Is(err, io.EOF):
			r.Body, r.ContentLength = http.NoBody, 0
		case err != nil:
			return false
		default:
			r.Body = prefixed{io.MultiReader(bytes.NewReader(first[:n]), r.Body), r.Body}
		}
	}
	x.view.HasBody = r.ContentLength != 0
	if r.ContentLength != 0 {
		x.body = newClientBody(x)
	}
	return true
}

func decimal(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

type prefixed struct {
	io.Reader
	io.Closer
}

// sentence makes an error's message one for a page.
func sentence(err error) string {
	b := []byte(err.Error())
	if len(b) > 0 && b[0] >= 'a' && b[0] <= 'z' {
		b[0] -= 'a' - 'A'
	}
	return string(append(b, '.'))
}
