package search

// IsUnspaced is isUnspaced, for tests.
var IsUnspaced = isUnspaced

// SetSize has a walk read so many ids at a time.
func (w *Walk) SetSize(size int) { w.size = size }
