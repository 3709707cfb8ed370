package buildinfo

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGet(t *testing.T) {
	info := Get()
	require.Contains(t, info.Go, "go1.")
	require.NotEmpty(t, info.Version)

	version, commit, date = "v1.2.3", "0123abc", "2026-11-30T20:00:00Z"
	t.Cleanup(func() { version, commit, date = "", "", "" })
	require.Equal(t, Info{Version: "v1.2.3", Commit: "0123abc", Date: "2026-11-30T20:00:00Z", Go: info.Go}, Get())
	require.Equal(t, "picaspot v1.2.3 (commit 0123abc of 2026-11-30T20:00:00Z, "+info.Go+")", Get().String())
}
