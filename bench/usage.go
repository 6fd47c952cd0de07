package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// cores is how many cores the machine has.
var cores = float64(runtime.NumCPU())

// tick is the unit of CPU times in /proc on every Linux.
const tick = 10 * time.Millisecond

// processCPU returns the CPU time that the process has used; 0 where there is
// no /proc.
func processCPU(pid int) time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field is the program's name in parentheses, with anything in it.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	return ticks(fields[11]) + ticks(fields[12]) // utime and stime
}

// machineCPU returns the CPU time that all processes have used, and the time
// that other machines on the same metal took away.
func machineCPU() time.Duration {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0
	}
	total := time.Duration(0)
	for i, f := range fields[1:9] {
		if i != 3 && i != 4 { // idle, and waiting for a disk
			total += ticks(f)
		}
	}
	return total
}

func ticks(s string) time.Duration {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n) * tick
}

// peakMemory returns the most that the process had resident, in bytes; 0 where
// there is no /proc.
func peakMemory(pid int) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return 0
	}
	return kib * 1024
}

// loadAverage returns how many processes wanted to run in the last minute.
func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// sizeOf returns how many bytes the files in a directory have.
func sizeOf(dir string) (float64, error) {
	total := int64(0)
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		return nil
	})
	return float64(total), err
}

// weigh sets what an event takes on disk, where dir holds a log of n records.
func (t *trial) weigh(dir string, n float64) error {
	for name, size := range map[string]*float64{"journal": &t.result.Journal, "tree": &t.result.Tree} {
		sub := filepath.Join(dir, name)
		if _, err := os.Stat(sub); err != nil {
			continue
		}
		total, err := sizeOf(sub)
		if err != nil {
			return err
		}
		*size = total / n
	}
	return nil
}
