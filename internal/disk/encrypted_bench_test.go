package disk_test

import (
	"fmt"
	"testing"

	"github.com/custody-log/custody/internal/disk"
)

// BenchmarkAppend is one append to a file in a directory, without a sync.
func BenchmarkAppend(b *testing.B) {
	for _, bytes := range []int{512, 16 << 10, 1 << 20} {
		for kind, d := range map[string]disk.FS{"plain": benchDir(b), "encrypted": encrypt(b, benchDir(b))} {
			b.Run(fmt.Sprintf("%s/%d", kind, bytes), func(b *testing.B) {
				f := mustOpen(b, d)
				defer f.Close()
				data := make([]byte, bytes)
				b.SetBytes(int64(bytes))
				for size := 0; b.Loop(); size += bytes {
					if size > 64<<20 {
						b.StopTimer()
						f.Close()
						if err := d.Remove("a"); err != nil {
							b.Fatal(err)
						}
						f, size = mustOpen(b, d), 0
						b.StartTimer()
					}
					if _, err := f.Write(data); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkReadAt is one read at a place of an open file, from the page cache.
func BenchmarkReadAt(b *testing.B) {
	for _, bytes := range []int{512, 16 << 10} {
		for kind, d := range map[string]disk.FS{"plain": benchDir(b), "encrypted": encrypt(b, benchDir(b))} {
			b.Run(fmt.Sprintf("%s/%d", kind, bytes), func(b *testing.B) {
				f := mustOpen(b, d)
				defer f.Close()
				if _, err := f.Write(make([]byte, 8<<20)); err != nil {
					b.Fatal(err)
				}
				data := make([]byte, bytes)
				b.SetBytes(int64(bytes))
				at := int64(0)
				for b.Loop() {
					at = (at*7 + 12345) % (7 << 20)
					if _, err := f.ReadAt(data, at); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkOpenRead is what a reader pays that keeps no file open: open, read
// 16 KiB, close.
func BenchmarkOpenRead(b *testing.B) {
	for kind, d := range map[string]disk.FS{"plain": benchDir(b), "encrypted": encrypt(b, benchDir(b))} {
		b.Run(kind, func(b *testing.B) {
			if err := disk.ReplaceFile(d, "a", make([]byte, 1<<20)); err != nil {
				b.Fatal(err)
			}
			data := make([]byte, 16<<10)
			for b.Loop() {
				f, err := d.OpenRead("a")
				if err != nil {
					b.Fatal(err)
				}
				if _, err := f.ReadAt(data, 12345); err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}

func benchDir(b *testing.B) disk.FS {
	d, err := disk.Dir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	return d
}
