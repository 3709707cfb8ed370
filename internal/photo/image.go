package photo

// Original is a photo as it was handed in, kept unchanged for verification.
// Nobody but the pipeline reads it: its metadata can tell where its owner lives.
type Original struct {
	// Key names the object in the storage.
	Key         string `json:"key"`
	ContentType string `json:"content_type"`
	Bytes       int64  `json:"bytes"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	// SHA256 is the digest of the bytes, in hexadecimal.
	SHA256 string `json:"sha256"`
	// Facts are what the photo said about itself when it was handed in, and
	// PerceptualHash the one of its picture, in hexadecimal; nil and empty where an
	// earlier release took it in.
	Facts          *Facts `json:"facts,omitempty"`
	PerceptualHash string `json:"perceptual_hash,omitempty"`
}

// Image is a picture for others to fetch: re-encoded, upright, without metadata.
type Image struct {
	// Key names the object in the storage.
	Key         string `json:"key"`
	ContentType string `json:"content_type"`
	Bytes       int64  `json:"bytes"`
	// Width and Height are in pixels.
	Width  int `json:"width"`
	Height int `json:"height"`
	// SHA256 is the digest of the bytes, in hexadecimal; it serves as the ETag.
	SHA256 string `json:"sha256"`
}
