package localstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/picaspot/picaspot/internal/fault"
)

var (
	// ErrNotInstalled is returned when a server, or an extension that PicASpot
	// needs, is not installed. The message says what to install.
	ErrNotInstalled = fault.New(fault.Unavailable, "not_installed", "a server that PicASpot needs is not installed")
	// ErrVersion is returned when a cluster was made by a version of PostgreSQL
	// that is not installed.
	ErrVersion = fault.New(fault.Conflict, "postgres_version", "the cluster belongs to another version of PostgreSQL")
)

// extensions are the ones that the first migration creates.
var extensions = []string{"postgis", "pg_trgm", "citext", "unaccent"}

// binEnv names the folder of initdb and postgres, for installations that are
// not found by themselves.
const binEnv = "PICASPOT_PG_BIN"

// installation is a PostgreSQL on this machine.
type installation struct {
	bin   string
	major int
}

func (i installation) tool(name string) string { return filepath.Join(i.bin, name) }

// installations returns what is installed, in the order of preference. There
// is at least one when the error is nil.
func installations(ctx context.Context) ([]installation, error) {
	var bins []string
	if bin := os.Getenv(binEnv); bin != "" {
		bins = []string{bin}
	} else {
		if path, err := exec.LookPath("initdb"); err == nil {
			bins = append(bins, filepath.Dir(path))
		}
		bins = append(bins, wellKnown(
			"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
			"/usr/pgsql-*/bin",          // packages of postgresql.org on Red Hat
			"/opt/homebrew/opt/postgresql@*/bin",
			"/usr/local/opt/postgresql@*/bin",
			"/Applications/Postgres.app/Contents/Versions/*/bin",
		)...)
	}
	var found []installation
	for _, bin := range bins {
		if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
		if err != nil {
			continue
		}
		if major, ok := majorVersion(string(out)); ok {
			found = append(found, installation{bin, major})
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	if bin := os.Getenv(binEnv); bin != "" {
		return nil, notInstalled(binEnv + "=" + bin + " holds no initdb and postgres that run")
	}
	return nil, notInstalled("PostgreSQL is not installed: " + advice(0))
}

func notInstalled(message string) error {
	return fault.New(ErrNotInstalled.Kind, ErrNotInstalled.Code, message)
}

// wellKnown returns the folders that match, of each pattern the newest version first.
func wellKnown(patterns ...string) []string {
	var all []string
	for _, pattern := range patterns {
		matches, _ := filepath.Glob(pattern) // Fails on a bad pattern only.
		slices.SortFunc(matches, func(a, b string) int { return lastNumber(b) - lastNumber(a) })
		all = append(all, matches...)
	}
	return all
}

var numbers = regexp.MustCompile(`\d+`)

func lastNumber(path string) int {
	all := numbers.FindAllString(path, -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1]) // Digits only; too many of them make 0 or the maximum.
	return n
}

// majorVersion reads "postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)",
// "postgres (PostgreSQL) 18beta1".
func majorVersion(line string) (int, bool) {
	_, rest, found := strings.Cut(line, "(PostgreSQL) ")
	if !found {
		return 0, false
	}
	digits := numbers.FindString(rest)
	if digits == "" || !strings.HasPrefix(rest, digits) {
		return 0, false
	}
	major, err := strconv.Atoi(digits)
	return major, err == nil
}

// choose returns the installation for a cluster of the given major version, or
// for a new one when it is 0: the first that has all extensions.
func choose(ctx context.Context, found []installation, major int) (installation, error) {
	var problems []error
	for _, i := range found {
		if major != 0 && i.major != major {
			continue
		}
		missing := missingExtensions(ctx, i)
		if len(missing) == 0 {
			return i, nil
		}
		problems = append(problems, notInstalled(fmt.Sprintf("PostgreSQL %d in %s lacks the extensions %s: %s",
			i.major, i.bin, strings.Join(missing, ", "), advice(i.major))))
	}
	if len(problems) > 0 {
		return installation{}, errors.Join(problems...)
	}
	var majors []string
	for _, i := range found {
		majors = append(majors, strconv.Itoa(i.major))
	}
	return installation{}, fault.New(ErrVersion.Kind, ErrVersion.Code, fmt.Sprintf(
		"the cluster was made by PostgreSQL %d, and only %s is installed; to keep its data, %s; to start anew, move its folder away",
		major, strings.Join(majors, ", "), advice(major)))
}

func missingExtensions(ctx context.Context, i installation) []string {
	// Debian keeps pg_config out of some of its server packages.
	shares := []string{
		filepath.Join("/usr/share/postgresql", strconv.Itoa(i.major)),
		filepath.Join(i.bin, "../share/postgresql"),
		filepath.Join(i.bin, "../share"),
	}
	if out, err := exec.CommandContext(ctx, i.tool("pg_config"), "--sharedir").Output(); err == nil {
		shares = []string{strings.TrimSpace(string(out))}
	}
	var missing []string
	for _, extension := range extensions {
		if !slices.ContainsFunc(shares, func(share string) bool {
			_, err := os.Stat(filepath.Join(share, "extension", extension+".control"))
			return err == nil
		}) {
			missing = append(missing, extension)
		}
	}
	return missing
}

// advice says what to install; major is 0 when any version will do.
func advice(major int) string { return adviceFor(runtime.GOOS, major) }

func adviceFor(system string, major int) string {
	if system == "darwin" {
		if major == 0 {
			major = 17
		}
		return fmt.Sprintf("run `brew install postgresql@%d postgis`", major)
	}
	packages := "postgresql postgresql-postgis"
	if major != 0 {
		packages = fmt.Sprintf("postgresql-%d postgresql-%d-postgis-3", major, major)
	}
	return "run `scripts/setup.sh run`, or on Debian and Ubuntu `sudo apt-get install " + packages +
		"`, elsewhere install the server, its contrib modules and PostGIS"
}
