-- +goose Up
-- Files that users send in parts, and their parts in the storage.
CREATE TABLE "uploads" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "bytes" bigint NOT NULL,
  "received" bigint NOT NULL DEFAULT 0,
  "parts" bigint NOT NULL DEFAULT 0,
  "expires_at" timestamptz NOT NULL,
  "used_at" timestamptz NULL,
  "user_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "uploads_users_uploads" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE INDEX "upload_user_id_expires_at" ON "uploads" ("user_id", "expires_at");
CREATE INDEX "upload_expires_at" ON "uploads" ("expires_at");
CREATE TABLE "upload_parts" (
  "id" uuid NOT NULL,
  "position" bigint NOT NULL,
  "file" jsonb NOT NULL,
  "upload_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "upload_parts_uploads_upload_parts" FOREIGN KEY ("upload_id") REFERENCES "uploads" ("id") ON DELETE CASCADE
);
CREATE UNIQUE INDEX "uploadpart_upload_id_position" ON "upload_parts" ("upload_id", "position");
