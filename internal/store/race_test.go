//go:build race

package store_test

// raceDetector makes everything several times slower.
const raceDetector = true
