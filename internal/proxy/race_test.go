//go:build race

package proxy_test

// raceDetector multiplies the memory of a process.
const raceDetector = true
