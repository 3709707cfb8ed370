// Package schema declares the entities: fields, edges, indexes, in that order,
// one file for each. What an entity gets from a mixin (key, times, soft
// deletion, audit) no service calls.
package schema

import (
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
)

var (
	// citext compares without case, as people read names and addresses.
	citext = map[string]string{dialect.Postgres: "citext"}
	// geography is a point on the WGS 84 ellipsoid; PostGIS measures it in metres.
	geography = map[string]string{dialect.Postgres: "geography(Point,4326)"}
	jsonb     = map[string]string{dialect.Postgres: "jsonb"}
	bytea     = map[string]string{dialect.Postgres: "bytea"}
	// living limits an index to rows that are not soft-deleted.
	living = entsql.IndexWhere("deleted_at IS NULL")
	// deleted limits an index to rows that are.
	deleted = entsql.IndexWhere("deleted_at IS NOT NULL")
)
