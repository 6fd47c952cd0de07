package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of CPU times in /proc on every Linux.
const tick = 10 * time.Millisecond

// ownCPU returns the CPU time that this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A status is what /proc says about one process.
type status struct {
	parent int
	cpu    time.Duration // of it and of those of its children that have ended
}

func statusOf(pid int) (status, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return status{}, err
	}
	// The second field is the program's name in parentheses, with anything in it.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 15 {
		return status{}, fmt.Errorf("peers: /proc/%d/stat has too few fields", pid)
	}
	var numbers [5]int64
	for i, at := range [...]int{1, 11, 12, 13, 14} { // parent, own time, that of ended children
		if numbers[i], err = strconv.ParseInt(fields[at], 10, 64); err != nil {
			return status{}, err
		}
	}
	return status{int(numbers[0]), time.Duration(numbers[1]+numbers[2]+numbers[3]+numbers[4]) * tick}, nil
}

// tree returns the processes with the given IDs and all that they started, with
// the CPU time of each.
func tree(roots []int) map[int]time.Duration {
	all := make(map[int]status)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			if s, err := statusOf(pid); err == nil {
				all[pid] = s
			}
		}
	}
	in := make(map[int]time.Duration)
	for pid := range all {
		for at, depth := pid, 0; at > 1 && depth < 16; at, depth = all[at].parent, depth+1 {
			if slices.Contains(roots, at) {
				in[pid] = all[pid].cpu
				break
			}
		}
	}
	return in
}

// cpuOf returns the CPU time of a peer's processes; of this one if it has none.
func cpuOf(p peer) time.Duration {
	roots := p.processes()
	if len(roots) == 0 {
		return ownCPU()
	}
	total := time.Duration(0)
	for _, cpu := range tree(roots) {
		total += cpu
	}
	return total
}

// memoryOf returns how many bytes a peer's processes have resident, mapped files
// left aside: the system keeps files that were read in memory for every peer, mapped
// or not, and takes them back when it needs the room. What processes share counts
// once.
func memoryOf(p peer) int64 {
	roots := p.processes()
	if len(roots) == 0 {
		debug.FreeOSMemory() // what nobody needs is not what it takes
		return resident(os.Getpid())
	}
	total := int64(0)
	for pid := range tree(roots) {
		total += resident(pid)
	}
	return total
}

func resident(pid int) int64 {
	file := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	return kilobytes(file, "Pss_Anon:") + kilobytes(file, "Pss_Shmem:")
}

// kilobytes returns the bytes that a line of a file in /proc says; 0 if there is
// none.
func kilobytes(file, name string) int64 {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}

// lookEvery is how often memory is looked at while a peak is waited for.
const lookEvery = 250 * time.Millisecond

// peakOf calls do and returns the most that a peer's processes had resident
// meanwhile. Of this process the kernel knows it; others are looked at now and
// then.
func peakOf(ctx context.Context, p peer, do func() error) (int64, error) {
	if len(p.processes()) == 0 {
		err := do()
		return kilobytes("/proc/self/status", "VmHWM:"), err
	}
	looking, stop := context.WithCancel(ctx)
	peak := make(chan int64, 1)
	go func() {
		most := int64(0)
		look := time.NewTicker(lookEvery)
		defer look.Stop()
		for {
			most = max(most, memoryOf(p))
			select {
			case <-look.C:
			case <-looking.Done():
				peak <- most
				return
			}
		}
	}()
	err := do()
	stop()
	return <-peak, err
}

// sizeOf returns how many bytes the files in a directory have: all, or those
// whose names end so.
func sizeOf(dir string, endings ...string) (int64, error) {
	total := int64(0)
	err := eachFile(dir, func(path string, info fs.FileInfo) error {
		if len(endings) == 0 || slices.Contains(endings, filepath.Ext(path)) {
			total += info.Size()
		}
		return nil
	})
	return total, err
}

// eachFile calls do with every file in a directory that is still there when it
// is looked at.
func eachFile(dir string, do func(path string, info fs.FileInfo) error) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.Type().IsRegular() {
			return nil
		}
		var info fs.FileInfo
		if err == nil {
			info, err = entry.Info()
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		return do(path, info)
	})
}

// coolDown takes the files in a directory out of the system's memory. Nobody may
// have them open. It does this for these files only, because the machine may be
// somebody else's too.
func coolDown(dir string) error {
	return eachFile(dir, func(path string, _ fs.FileInfo) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Sync(); err != nil { // what is not on disk stays in memory
			return err
		}
		return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	})
}

// loadAverage returns how many processes wanted to run lately.
func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}

// cores is how many cores the machine has.
func cores() int { return runtime.NumCPU() }
