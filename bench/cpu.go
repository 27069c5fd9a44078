package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// treeCPU is the CPU time used so far by a process and all its descendants,
// threads that have ended included.
func treeCPU(root int) (time.Duration, error) {
	var total time.Duration
	for _, pid := range tree(root) {
		var ts unix.Timespec
		// The CPU-time clock of another process: clock_getcpuclockid(3).
		clock := int32(^pid<<3 | 2)
		if err := unix.ClockGettime(clock, &ts); err != nil {
			if pid == root {
				return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
			}
			continue // a child that ended meanwhile
		}
		total += time.Duration(ts.Nano())
	}
	return total, nil
}

// treeRSS is the resident memory of a process and its descendants, in bytes.
func treeRSS(root int) (int64, error) {
	var total int64
	for _, pid := range tree(root) {
		statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			if pid == root {
				return 0, err
			}
			continue
		}
		fields := strings.Fields(string(statm))
		pages, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return 0, err
		}
		total += pages * int64(os.Getpagesize())
	}
	return total, nil
}

func tree(root int) []int {
	pids := []int{root}
	for i := 0; i < len(pids); i++ {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		for _, list := range lists {
			children, err := os.ReadFile(list)
			if err != nil {
				continue
			}
			for _, c := range strings.Fields(string(children)) {
				if pid, err := strconv.Atoi(c); err == nil {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}
