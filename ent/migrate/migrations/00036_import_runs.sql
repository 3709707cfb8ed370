-- +goose Up
-- Files that users have handed in to be imported, and what became of them.
CREATE TABLE "import_runs" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "kind" character varying NOT NULL,
  "status" character varying NOT NULL DEFAULT 'pending',
  "options" jsonb NOT NULL,
  "file" jsonb NULL,
  "report" jsonb NULL,
  "claim" uuid NULL,
  "bytes_read" bigint NOT NULL DEFAULT 0,
  "rows_read" bigint NOT NULL DEFAULT 0,
  "created" bigint NOT NULL DEFAULT 0,
  "updated" bigint NOT NULL DEFAULT 0,
  "unchanged" bigint NOT NULL DEFAULT 0,
  "rejected" bigint NOT NULL DEFAULT 0,
  "error" character varying NOT NULL DEFAULT '',
  "finished_at" timestamptz NULL,
  "user_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "import_runs_users_import_runs" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE UNIQUE INDEX "importrun_active" ON "import_runs" ("user_id") WHERE (finished_at IS NULL);
CREATE INDEX "importrun_user_id_created_at_id" ON "import_runs" ("user_id", "created_at", "id");
CREATE INDEX "importrun_created_at_id" ON "import_runs" ("created_at", "id");
CREATE INDEX "importrun_finished_at" ON "import_runs" ("finished_at") WHERE (report IS NOT NULL);
