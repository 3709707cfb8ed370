package search

// IsUnspaced is isUnspaced, for tests.
var IsUnspaced = isUnspaced
