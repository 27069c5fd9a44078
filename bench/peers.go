package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// freePorts asks the kernel for one port per role.
func freePorts(roles ...string) (ports, error) {
	p := ports{}
	for _, role := range roles {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		p[role] = l.Addr().String()
	}
	return p, nil
}

// render writes a peer's configuration with this run's folder and ports.
func (b *bed) render(name string, p ports) (string, error) {
	text, err := peerFiles.ReadFile("peers/" + name)
	if err != nil {
		return "", err
	}
	_, origin, err := net.SplitHostPort(b.origin)
	if err != nil {
		return "", err
	}
	replace := []string{"@DIR@", b.dir, "@ORIGIN@", origin}
	for role, address := range p {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return "", err
		}
		replace = append(replace, "@"+strings.ToUpper(strings.ReplaceAll(role, "-", "_"))+"@", port)
	}
	file := filepath.Join(b.dir, name)
	return file, os.WriteFile(file, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o644)
}

// pinned starts a command on core 0 with its output in a log of the run.
func (b *bed) pinned(ctx context.Context, name string, args ...string) (process, error) {
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", "0", name}, args...)...)
	log, err := os.Create(filepath.Join(b.dir, filepath.Base(name)+".log"))
	if err != nil {
		return process{}, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "HOME="+b.dir, "XDG_CONFIG_HOME="+b.dir, "XDG_DATA_HOME="+b.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return process{}, err
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	return process{pid: cmd.Process.Pid, stop: func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done
		}
	}}, nil
}

var allRoles = []string{"hit-plain", "hit-tls", "proxy-plain", "proxy-tls"}

func startNginx(ctx context.Context, b *bed) (ports, process, error) {
	p, err := freePorts(allRoles...)
	if err != nil {
		return nil, process{}, err
	}
	file, err := b.render("nginx.conf", p)
	if err != nil {
		return nil, process{}, err
	}
	started, err := b.pinned(ctx, "nginx", "-c", file, "-p", b.dir)
	return p, started, err
}

func startHAProxy(ctx context.Context, b *bed) (ports, process, error) {
	p, err := freePorts(allRoles...)
	if err != nil {
		return nil, process{}, err
	}
	file, err := b.render("haproxy.cfg", p)
	if err != nil {
		return nil, process{}, err
	}
	started, err := b.pinned(ctx, "haproxy", "-f", file)
	return p, started, err
}

func startCaddy(ctx context.Context, b *bed) (ports, process, error) {
	p, err := freePorts(allRoles...)
	if err != nil {
		return nil, process{}, err
	}
	file, err := b.render("Caddyfile", p)
	if err != nil {
		return nil, process{}, err
	}
	started, err := b.pinned(ctx, "caddy", "run", "--config", file, "--adapter", "caddyfile")
	return p, started, err
}

func startVarnish(ctx context.Context, b *bed) (ports, process, error) {
	p, err := freePorts("hit-plain", "proxy-plain")
	if err != nil {
		return nil, process{}, err
	}
	file, err := b.render("default.vcl", p)
	if err != nil {
		return nil, process{}, err
	}
	started, err := b.pinned(ctx, "varnishd", "-F", "-a", p["hit-plain"], "-a", p["proxy-plain"], "-f", file, "-n", filepath.Join(b.dir, "varnish"),
		"-s", "malloc,256m", "-p", "thread_pools=1", "-p", "thread_pool_min=100")
	return p, started, err
}

func startNetHTTP(ctx context.Context, b *bed) (ports, process, error) {
	p, err := freePorts(allRoles...)
	if err != nil {
		return nil, process{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, process{}, err
	}
	args := []string{"serve", "-dir", b.dir, "-origin", b.origin}
	for role, address := range p {
		args = append(args, "-"+role, address)
	}
	started, err := b.pinned(ctx, self, args...)
	return p, started, err
}

// startEdgewright configures two domains: one whose responses are cached, one
// with a rule that bypasses the cache.
func startEdgewright(ctx context.Context, b *bed) (ports, process, error) {
	product, err := startProduct(ctx, b.s, filepath.Join(b.dir, "data"))
	if err != nil {
		return nil, process{}, err
	}
	resources := siteSpec(benchHost, "http://"+b.origin)
	resources = append(resources, siteSpec("proxy."+benchHost, "http://"+b.origin, map[string]any{"pattern": "/**", "action": "bypass"})...)
	if err := product.apply(ctx, resources); err != nil {
		return nil, process{}, err
	}
	for _, name := range []string{benchHost, "proxy." + benchHost} {
		if err := product.call(ctx, http.MethodPost, "/ssl/"+name, map[string]any{"type": "local", "auto_renew": true}, nil); err != nil && !strings.Contains(err.Error(), "409") {
			return nil, process{}, fmt.Errorf("certificate for %s: %w", name, err)
		}
	}
	r := product.ready
	return ports{"hit-plain": address(r.HTTP), "hit-tls": address(r.HTTPS), "proxy-plain": address(r.HTTP), "proxy-tls": address(r.HTTPS)}, process{pid: product.cmd.Process.Pid, stop: product.stop}, nil
}

// address strips a scheme that READY may print.
func address(s string) string {
	if _, rest, ok := strings.Cut(s, "://"); ok {
		return strings.TrimSuffix(rest, "/")
	}
	return s
}
