package localstack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// findPostgres returns the folder of PostgreSQL's programs: the one that
// PICASPOT_PG_BIN names, else the newest of the usual places that has PostGIS.
func findPostgres() (string, error) {
	if dir := os.Getenv("PICASPOT_PG_BIN"); dir != "" {
		return dir, checkPostgres(dir)
	}
	var candidates []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/latest/bin", "/usr/pgsql-*/bin",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", fmt.Errorf("look for PostgreSQL: %w", err)
		}
		for i := len(found) - 1; i >= 0; i-- {
			candidates = append(candidates, found[i])
		}
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			candidates = append(candidates, filepath.Dir(real))
		}
	}
	var faults []error
	for _, dir := range candidates {
		err := checkPostgres(dir)
		if err == nil {
			return dir, nil
		}
		faults = append(faults, err)
	}
	return "", errors.Join(append([]error{errors.New("PostgreSQL with PostGIS is needed and was not found: " + installHint())}, faults...)...)
}

func checkPostgres(dir string) error {
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, program)); err != nil {
			return fmt.Errorf("%s has no %s", dir, program)
		}
	}
	share, err := exec.Command(filepath.Join(dir, "pg_config"), "--sharedir").Output()
	control := filepath.Join(strings.TrimSpace(string(share)), "extension", "postgis.control")
	if err != nil {
		// Debian keeps pg_config in another package; its folders are known.
		control = filepath.Join("/usr/share/postgresql", filepath.Base(filepath.Dir(dir)), "extension", "postgis.control")
	}
	if _, err := os.Stat(control); err != nil {
		return fmt.Errorf("the PostgreSQL in %s has no PostGIS", dir)
	}
	return nil
}

func installHint() string {
	if runtime.GOOS == "darwin" {
		return "brew install postgresql@17 postgis"
	}
	return "apt-get install postgresql postgresql-15-postgis-3 (with the number of your PostgreSQL), or set PICASPOT_PG_BIN, or name a server in PICASPOT_DATABASE_URL"
}
