// Package migrations embeds the versioned SQL that makes the database. Files
// go forward only and are never edited once they landed; make migration writes
// the next one as the difference between them and ent/schema.
package migrations

import "embed"

// FS holds the migrations, named NNNNN_what.sql.
//
//go:embed *.sql
var FS embed.FS
