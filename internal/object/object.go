// Package object has what a row keeps of a file in the storage, whose term it is: an
// object has a key and a size.
package object

// Ref names an object.
type Ref struct {
	Key   string `json:"key"`
	Bytes int64  `json:"bytes"`
}
