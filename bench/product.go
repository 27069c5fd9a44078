package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// product is a running `edgewright up` under test.
type product struct {
	cmd   *exec.Cmd
	done  chan error
	ready struct {
		API, HTTP, HTTPS string
		Edges            []struct{ HTTPS, DNS string }
	}
	took time.Duration // from start to READY
}

const benchToken = "ew_bench_00000000000000000000000000000000"

// startProduct runs `edgewright up` on ports the kernel picks, pinned to core
// 0, and waits for its READY line.
func startProduct(ctx context.Context, s settings, data string, extra ...string) (*product, error) {
	binary, err := filepath.Abs(s.binary)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("%w: build it with make build", err)
	}
	args := append([]string{
		"-c", "0", binary, "up", "--data", data, "--listen-api", "127.0.0.1:0", "--listen-http", "127.0.0.1:0",
		"--listen-https", "127.0.0.1:0", "--listen-dns", "127.0.0.1:0", "--issuer", "local", "--no-open",
	}, extra...)
	p := &product{cmd: exec.CommandContext(ctx, "taskset", args...), done: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), "EDGEWRIGHT_ADMIN_TOKEN="+benchToken)
	log, err := os.Create(filepath.Join(filepath.Dir(data), "edgewright.log"))
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = log
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if line, ok := strings.CutPrefix(lines.Text(), "READY "); ok {
			p.took = time.Since(started)
			if err := json.Unmarshal([]byte(line), &p.ready); err != nil {
				return nil, fmt.Errorf("READY line: %w", err)
			}
			go func() {
				_, _ = io.Copy(io.Discard, stdout)
				p.done <- p.cmd.Wait()
			}()
			return p, nil
		}
	}
	err = p.cmd.Wait()
	text, _ := os.ReadFile(log.Name())
	return nil, fmt.Errorf("edgewright up ended before it was ready: %w\n%s", err, text)
}

func (p *product) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// call sends JSON to the API and decodes the answer into out, unless nil.
func (p *product) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	url := p.ready.API
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	req, err := http.NewRequestWithContext(ctx, method, url+"/api/v1/infrastructure"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+benchToken)
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPut {
		req.Header.Set("If-Match", "*") // nobody else is there
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	}
	if out != nil {
		return json.Unmarshal(answer, out)
	}
	return nil
}

// siteSpec declares a domain with a CDN of its own, as the configuration file
// of `edgewright apply` does.
func siteSpec(name, origin string, rules ...map[string]any) []map[string]any {
	return []map[string]any{
		{"kind": "cdn", "name": name, "spec": map[string]any{"origins": []map[string]any{{"name": "origin", "url": origin}}, "cache_rules": rules}},
		{"kind": "domain", "name": name, "spec": map[string]any{"domain": name, "cdn": name, "auto_configure": true, "redirect_https": false}},
	}
}

// apply plans and applies declared resources.
func (p *product) apply(ctx context.Context, resources []map[string]any) error {
	var plan struct {
		ID string `json:"id"`
	}
	if err := p.call(ctx, http.MethodPost, "/plans", map[string]any{"resources": resources}, &plan); err != nil {
		return err
	}
	return p.call(ctx, http.MethodPost, "/plans/"+plan.ID+"/apply", map[string]any{}, nil)
}

// answers waits until a URL is answered with 200 over the edge.
func answers(ctx context.Context, client *http.Client, url, host string, within time.Duration) error {
	deadline := time.Now().Add(within)
	var last string
	for time.Now().Before(deadline) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		req.Host = host
		res, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			last = res.Status
		} else {
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s as %s is not answered: %s", url, host, last)
}
