// Diff writes the next migration: the statements that bring a migrated database
// to what ent/schema says now. It needs a database that it may create others in.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	_ "github.com/jackc/pgx/v5/stdlib" // The driver behind sql.Open.

	"github.com/picaspot/picaspot/ent/migrate/migrations"
	"github.com/picaspot/picaspot/internal/store"
)

const folder = "ent/migrate/migrations"

var words = regexp.MustCompile(`^[a-z0-9_]+$`)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "diff: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	url := os.Getenv("PICASPOT_DATABASE_URL")
	if len(os.Args) != 2 || !words.MatchString(os.Args[1]) || url == "" {
		return errors.New("usage: PICASPOT_DATABASE_URL=<an empty database> diff what_changes")
	}
	if err := store.Migrate(ctx, url); err != nil {
		return err
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer db.Close()
	statements, err := store.Drift(ctx, db)
	if err != nil {
		return err
	}
	if statements == "" {
		fmt.Println("The migrations and ent/schema agree: there is nothing to write.")
		return nil
	}
	existing, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return err
	}
	path := filepath.Join(folder, fmt.Sprintf("%05d_%s.sql", len(existing)+1, os.Args[1]))
	content := "-- +goose Up\n" + statements
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil { //nolint:gosec // A source file.
		return err
	}
	fmt.Println("Wrote " + path + ". Read it before you commit it.")
	return nil
}
