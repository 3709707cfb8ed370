// Package buildinfo says which build of PicASpot runs: its version, commit and
// date, for the command line, the log, a metric and the image.
package buildinfo

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"strings"
)

// Set by the linker in releases and images, as in
// -ldflags "-X github.com/picaspot/picaspot/internal/buildinfo.version=v1.2.3".
var version, commit, date string

// Info describes a build. Fields that nothing is known of are "unknown".
type Info struct {
	// Version is the tag, or (devel) for a build of a working tree.
	Version string `json:"version"`
	// Commit is the revision's hash, with the suffix -dirty for changed files.
	Commit string `json:"commit"`
	// Date is that of the commit, in RFC 3339.
	Date string `json:"date"`
	// Go is the version of the compiler.
	Go string `json:"go"`
}

// Get returns what the linker was told, and else what Go recorded from the repository.
func Get() Info {
	info := Info{Version: version, Commit: commit, Date: date}
	if build, ok := debug.ReadBuildInfo(); ok {
		info.Go = build.GoVersion
		info.Version = cmp.Or(info.Version, build.Main.Version)
		settings := map[string]string{}
		for _, s := range build.Settings {
			settings[s.Key] = s.Value
		}
		if revision := settings["vcs.revision"]; info.Commit == "" && revision != "" {
			info.Commit = revision
			if settings["vcs.modified"] == "true" {
				info.Commit += "-dirty"
			}
		}
		info.Date = cmp.Or(info.Date, settings["vcs.time"])
	}
	for _, field := range []*string{&info.Version, &info.Commit, &info.Date, &info.Go} {
		*field = cmp.Or(strings.TrimSpace(*field), "unknown")
	}
	return info
}

// String is one line, as for --version.
func (i Info) String() string {
	return fmt.Sprintf("picaspot %s (commit %s of %s, %s)", i.Version, i.Commit, i.Date, i.Go)
}
