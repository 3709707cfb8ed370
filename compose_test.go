package picaspot_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	composecli "github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/picaspot/picaspot"
	"github.com/picaspot/picaspot/internal/config"
)

// project is docker-compose.yml as Compose reads it beside an .env of this content.
func project(t *testing.T, env string) *types.Project {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "docker-compose.yml"), picaspot.Compose, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, ".env"), []byte(env), 0o600))
	options, err := composecli.NewProjectOptions([]string{filepath.Join(folder, "docker-compose.yml")},
		composecli.WithWorkingDirectory(folder), composecli.WithEnvFiles(), composecli.WithDotEnv, composecli.WithDefaultProfiles())
	require.NoError(t, err)
	loaded, err := options.LoadProject(t.Context())
	require.NoError(t, err, env)
	return loaded
}

// environment is what the service's process finds in its environment.
func environment(t *testing.T, p *types.Project, service string) map[string]string {
	t.Helper()
	resolved, err := p.WithServicesEnvironmentResolved(true)
	require.NoError(t, err)
	variables := map[string]string{}
	for name, value := range resolved.Services[service].Environment {
		if value != nil {
			variables[name] = *value
		}
	}
	return variables
}

func written(t *testing.T, options ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), ".env")
	output, err := exec.CommandContext(t.Context(), "./scripts/make-env.sh", append(options, "--output", path)...).CombinedOutput()
	require.NoError(t, err, string(output))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

// TestEverySecretReachesItsServices makes 200 .env files: with what the script
// writes, and with secrets that people paste, as of openssl rand -base64.
func TestEverySecretReachesItsServices(t *testing.T) {
	for i := range 200 {
		var env string
		if i < 100 {
			env = written(t)
		} else {
			// Compose takes what stands in single quotes as it is, up to a backslash or a quote.
			random := make([]byte, 32)
			_, _ = rand.Read(random)
			pasted := base64.StdEncoding.EncodeToString(random)[:43] + []string{"/+=", "@:?#", "$x%zz", "&;\"#"}[i%4]
			env = fmt.Sprintf("PICASPOT_SECRET_KEY='%s'\nPOSTGRES_PASSWORD='%s'\nS3_SECRET_KEY='%s'\n", pasted, pasted, pasted)
		}
		p := project(t, env)
		variables := environment(t, p, "api")
		password := environment(t, p, "postgres")["POSTGRES_PASSWORD"]
		require.GreaterOrEqual(t, len(password), 43)
		require.Equal(t, variables, environment(t, p, "worker"))

		t.Setenv("PGPASSWORD", variables["PGPASSWORD"])
		database, err := pgx.ParseConfig(variables["PICASPOT_DATABASE_URL"])
		require.NoError(t, err)
		require.Equal(t, password, database.Password)
		require.Equal(t, "postgres", database.Host)
		require.Equal(t, "picaspot", database.Database)

		_, err = redis.ParseURL(variables["PICASPOT_REDIS_URL"])
		require.NoError(t, err)
		storage, err := url.Parse(variables["PICASPOT_STORAGE_URL"])
		require.NoError(t, err)
		require.Equal(t, "photos", storage.Host)
		for _, service := range []string{"s3", "bucket"} {
			keys := environment(t, p, service)
			require.Contains(t, []string{keys["ROOT_SECRET_KEY"], keys["AWS_SECRET_ACCESS_KEY"]}, variables["AWS_SECRET_ACCESS_KEY"], service)
		}
		for _, name := range []string{"PICASPOT_SMTP_URL", "PICASPOT_PUBLIC_URL"} {
			parsed, err := url.Parse(variables[name])
			require.NoError(t, err, name)
			require.NotEmpty(t, parsed.Host, name)
		}
		require.GreaterOrEqual(t, len(variables["PICASPOT_SECRET_KEY"]), 32)
	}
}

const someSecrets = "PICASPOT_SECRET_KEY=0123456789abcdef0123456789abcdef\nPOSTGRES_PASSWORD=p\nS3_SECRET_KEY=s\n"

func TestEverySettingCanStandInEnv(t *testing.T) {
	// The other services and the published port depend on these.
	fixed := map[string]bool{"PICASPOT_HTTP_ADDR": true, "PICASPOT_OPS_ADDR": true, "PICASPOT_SECRET_KEY": true}
	var env strings.Builder
	env.WriteString(someSecrets)
	settings := reflect.TypeFor[config.Config]()
	var names []string
	for i := range settings.NumField() {
		if name := settings.Field(i).Tag.Get("env"); name != "" && !fixed[name] {
			names = append(names, name)
			fmt.Fprintf(&env, "%s=set-%s\n", name, strings.ToLower(name))
		}
	}
	require.Greater(t, len(names), 30)
	p := project(t, env.String())
	for _, service := range []string{"api", "worker", "migrate"} {
		variables := environment(t, p, service)
		for _, name := range names {
			require.Equal(t, "set-"+strings.ToLower(name), variables[name], "%s of %s", name, service)
		}
	}
}

func TestPortsArePublishedOnLoopbackUnlessAsked(t *testing.T) {
	published := func(env string) map[string]string {
		hosts := map[string]string{}
		for _, service := range project(t, someSecrets+env).Services {
			for _, port := range service.Ports {
				hosts[service.Name+":"+port.Published] = port.HostIP
			}
		}
		return hosts
	}
	for port, host := range published("") {
		require.True(t, net.ParseIP(host).IsLoopback(), "%s on %q", port, host)
	}
	require.Equal(t, "0.0.0.0", published("PICASPOT_BIND=0.0.0.0\n")["api:8080"])
	require.Contains(t, published("COMPOSE_PROFILES=tls\n"), "tls:443")
}

func TestTheProxyOfTheTLSProfileIsTrusted(t *testing.T) {
	env := written(t, "--domain", "picaspot.example.org")
	p := project(t, env)
	variables := environment(t, p, "api")
	require.Equal(t, "https://picaspot.example.org", variables["PICASPOT_PUBLIC_URL"])
	require.Equal(t, "picaspot.example.org", environment(t, p, "tls")["PICASPOT_DOMAIN"])
	address := p.Services["tls"].Networks["edge"].Ipv4Address
	require.Equal(t, address, variables["PICASPOT_TRUSTED_PROXIES"])
	_, network, err := net.ParseCIDR(p.Networks["edge"].Ipam.Config[0].Subnet)
	require.NoError(t, err)
	require.True(t, network.Contains(net.ParseIP(address)))
	// Containers of api that start before the proxy must not take its address.
	_, dynamic, err := net.ParseCIDR(p.Networks["edge"].Ipam.Config[0].IPRange)
	require.NoError(t, err)
	require.False(t, dynamic.Contains(net.ParseIP(address)))
}

func TestServicesAreBounded(t *testing.T) {
	p := project(t, someSecrets+"COMPOSE_PROFILES=tls\n")
	for _, service := range p.Services {
		require.NotNil(t, service.Logging, service.Name)
		require.NotEmpty(t, service.Logging.Options["max-size"], service.Name)
		if service.Restart != "no" {
			require.Positive(t, service.MemLimit, service.Name)
		}
	}
	settings := reflect.TypeFor[config.Config]()
	var stopping time.Duration
	for _, name := range []string{"ShutdownTimeout", "DrainDelay"} {
		if field, ok := settings.FieldByName(name); ok {
			value, err := time.ParseDuration(field.Tag.Get("default"))
			require.NoError(t, err)
			stopping += value
		}
	}
	for _, name := range []string{"api", "worker"} {
		require.Greater(t, time.Duration(*p.Services[name].StopGracePeriod), stopping, name)
	}
	require.Contains(t, p.Services["worker"].HealthCheck.Test, "healthcheck")
}

func TestMakeEnvKeepsWhatExists(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".env")
	run := func(options ...string) (string, error) {
		output, err := exec.CommandContext(t.Context(), "./scripts/make-env.sh", append(options, "--output", path)...).CombinedOutput()
		return string(output), err
	}
	for _, domain := range []string{"a b", "x\nPOSTGRES_PASSWORD=y", "$(id)", "https://example.org"} {
		output, err := run("--domain", domain)
		require.Error(t, err, output)
	}
	_, err := run()
	require.NoError(t, err)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	output, err := run()
	require.ErrorContains(t, err, "exit status 1")
	require.Contains(t, output, "stays as it is")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// TestWorkflowsUseTheSameImages compares the services of the workflows with
// those of docker-compose.yml: a workflow can't read the file.
func TestWorkflowsUseTheSameImages(t *testing.T) {
	images := map[string]bool{}
	for _, service := range project(t, someSecrets).Services {
		images[service.Image] = true
	}
	content, err := os.ReadFile(".github/workflows/ci.yml")
	require.NoError(t, err)
	var workflow struct {
		Jobs map[string]struct {
			Services map[string]struct{ Image string }
		}
	}
	require.NoError(t, yaml.Unmarshal(content, &workflow))
	found := 0
	for name, job := range workflow.Jobs {
		for _, service := range job.Services {
			found++
			require.True(t, images[service.Image], "%s: %s is not in docker-compose.yml", name, service.Image)
		}
	}
	require.Positive(t, found)
}
