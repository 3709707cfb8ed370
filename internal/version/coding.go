package version

import "strings"

// GzipSuffix is what the entity tag of an answer in gzip ends with: a strong tag belongs to
// one sequence of bytes (RFC 9110, section 8.8.3.3).
const GzipSuffix = "-gzip"

// suffixes are the ends of entity tags, one for each content coding.
var suffixes = []string{GzipSuffix, "-zstd"}

// Plain returns the entity tag that an answer has without a content coding.
func Plain(tag string) string {
	inner, quoted := strings.CutSuffix(tag, `"`)
	if !quoted {
		return tag
	}
	for _, suffix := range suffixes {
		if plain, ok := strings.CutSuffix(inner, suffix); ok {
			return plain + `"`
		}
	}
	return tag
}
