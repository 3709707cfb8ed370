package picaspot_test

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The dev container has the versions that the module and CI have.
func TestDevContainer(t *testing.T) {
	t.Parallel()
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return data
	}
	var container struct {
		Features map[string]struct {
			Version      string `json:"version"`
			InstallMaven bool   `json:"installMaven"`
		} `json:"features"`
		PostCreateCommand string `json:"postCreateCommand"`
		ForwardPorts      []int  `json:"forwardPorts"`
	}
	require.NoError(t, json.Unmarshal(read(".devcontainer/devcontainer.json"), &container))
	feature := func(name string) string {
		return container.Features["ghcr.io/devcontainers/features/"+name+":1"].Version
	}
	for name, stated := range map[string]struct{ file, pattern string }{
		"go":   {"go.mod", `(?m)^go (\S+)$`},
		"node": {".github/workflows/ci.yml", `node-version: (\S+)`},
		"java": {".github/workflows/ci.yml", `java-version: (\S+)`},
	} {
		found := regexp.MustCompile(stated.pattern).FindAllSubmatch(read(stated.file), -1)
		require.NotEmpty(t, found, name)
		for _, match := range found {
			require.Equal(t, string(match[1]), feature(name), name)
		}
	}
	require.True(t, container.Features["ghcr.io/devcontainers/features/java:1"].InstallMaven)
	require.Equal(t, "make setup", container.PostCreateCommand)
	require.Equal(t, []int{8080, 9090}, container.ForwardPorts)
}
