package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// A load is one bounded run of h2load against one server.
type load struct {
	url      string // http or https with the host name the server knows
	connect  string // address to connect to
	h2       bool
	requests int
	clients  int
}

var (
	succeeded = regexp.MustCompile(`(?m)^requests: .* (\d+) succeeded, (\d+) failed`)
	statuses  = regexp.MustCompile(`(?m)^status codes: (\d+) 2xx`)
)

// run sends the load from core 1 and fails unless every request was answered
// with 2xx.
func (l load) run(ctx context.Context) error {
	args := []string{"-c", "1", "h2load", "-n", strconv.Itoa(l.requests), "-c", strconv.Itoa(l.clients), "-t", "1", "--connect-to=" + l.connect}
	if l.h2 {
		args = append(args, "-m", "16")
	} else {
		args = append(args, "--h1")
	}
	args = append(args, "--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519", l.url)
	out, err := exec.CommandContext(ctx, "taskset", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("h2load %s: %w\n%s", l.url, err, out)
	}
	for _, pattern := range []*regexp.Regexp{succeeded, statuses} {
		m := pattern.FindSubmatch(out)
		if m == nil {
			return fmt.Errorf("h2load %s printed no result:\n%s", l.url, out)
		}
		if n, _ := strconv.Atoi(string(m[1])); n != l.requests {
			return fmt.Errorf("h2load %s: %d of %d requests were answered with 2xx:\n%s", l.url, n, l.requests, out)
		}
	}
	return nil
}
