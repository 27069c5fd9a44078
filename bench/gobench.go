package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// benchStore and benchFleet are Go benchmarks, since what they measure lies
// inside the process; their results are tabled like the others.
func benchStore(ctx context.Context, _ settings) (string, error) {
	return goBenchmarks(ctx, "Store: durable writes",
		"One commit is one transaction, on disk before it counts (SQLite: WAL, synchronous=FULL). PostgreSQL is the test server of this machine, which does not sync.",
		"./control/store", "^Benchmark(Put|PutStatus|ListAll)$", "2s")
}

func benchFleet(ctx context.Context, s settings) (string, error) {
	return goBenchmarks(ctx, "Fleet: change and purge to acknowledged by all", "All agents in this process, without listeners, over the embedded bus (one heap for all, GOGC=400); from the store's commit to the last edge's acknowledgement.",
		"./control/fleet", "^BenchmarkFanOut$/^("+strings.ReplaceAll(s.agents, ",", "|")+")$", "1x")
}

// goBenchmarks runs `go test -bench` and turns its lines into a table: one row
// a benchmark, one column a metric.
func goBenchmarks(ctx context.Context, title, what, pkg, pattern, benchtime string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", benchtime, "-timeout", "30m", pkg)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go test -bench %s %s: %w\n%s", pattern, pkg, err, out)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "# %s\n\n%s\n\n| benchmark | runs | results |\n|---|---:|---|\n", title, what)
	rows := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		var results []string
		for i := 2; i+1 < len(fields); i += 2 {
			results = append(results, fields[i]+" "+fields[i+1])
		}
		fmt.Fprintf(&table, "| %s | %s | %s |\n", strings.TrimPrefix(fields[0], "Benchmark"), fields[1], strings.Join(results, ", "))
		rows++
	}
	if rows == 0 {
		return "", fmt.Errorf("no benchmark of %s matches %s:\n%s", pkg, pattern, out)
	}
	return table.String(), nil
}
