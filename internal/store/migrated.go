package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/picaspot/picaspot/ent/migrate/migrations"
)

// CheckMigrated returns an error that names the first migration that the database
// lacks, and how to run it. A database that is ahead is fine: releases work on the
// migrations of the next one. It changes nothing.
func (s *Store) CheckMigrated(ctx context.Context) error {
	missing, err := missingMigrations(ctx, s.Pool)
	if err != nil {
		return fmt.Errorf("look for missing migrations: %w", err)
	}
	if len(missing) == 0 {
		return nil
	}
	more := ""
	if len(missing) > 1 {
		more = fmt.Sprintf(" and %d more", len(missing)-1)
	}
	return fmt.Errorf("the database lacks the migration %s%s: run `picaspot migrate`, or `picaspot serve` without --skip-migrations, with a user who may alter tables", missing[0], more)
}

func missingMigrations(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	applied := map[int64]bool{}
	var exists bool
	if err := pool.QueryRow(ctx, "-- name: store_find_migrations\nSELECT to_regclass($1) IS NOT NULL", goose.DefaultTablename).Scan(&exists); err != nil {
		return nil, err
	}
	if exists {
		rows, err := pool.Query(ctx, "-- name: store_list_migrations\nSELECT version_id FROM "+goose.DefaultTablename+" WHERE is_applied")
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var version int64
			if err := rows.Scan(&version); err != nil {
				return nil, err
			}
			applied[version] = true
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	files, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var missing []string
	for _, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil {
			return nil, err
		}
		if !applied[version] {
			missing = append(missing, file)
		}
	}
	river, err := missingRiver(ctx, pool)
	return append(missing, river...), err
}

// missingRiver names the migrations of the job queue that the database lacks.
func missingRiver(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	river, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return nil, err
	}
	existing, err := river.ExistingVersions(ctx)
	if err != nil {
		return nil, errors.Join(errors.New("River"), err)
	}
	var missing []string
	for _, m := range river.AllVersions() {
		if !slices.ContainsFunc(existing, func(e rivermigrate.Migration) bool { return e.Version == m.Version }) {
			missing = append(missing, fmt.Sprintf("%d of River (%s)", m.Version, m.Name))
		}
	}
	return missing, nil
}
