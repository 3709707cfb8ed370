package ent

//go:generate go tool ent generate --target . --feature intercept,schema/snapshot,sql/upsert,sql/lock,sql/execquery,sql/modifier ./schema
