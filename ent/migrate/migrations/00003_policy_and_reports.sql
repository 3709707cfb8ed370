-- +goose Up
ALTER TABLE "roles" ADD COLUMN "description" character varying NOT NULL DEFAULT '';

CREATE TABLE "policy_versions" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "version" bigint NOT NULL,
  "text" character varying NOT NULL,
  "comment" character varying NOT NULL DEFAULT '',
  "created_by" uuid NULL,
  PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "policyversion_version" ON "policy_versions" ("version");

CREATE TABLE "reports" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "subject_type" character varying NOT NULL,
  "subject_id" uuid NOT NULL,
  "reason" character varying NOT NULL,
  "comment" character varying NOT NULL DEFAULT '',
  "status" character varying NOT NULL DEFAULT 'open',
  "action" character varying NOT NULL DEFAULT 'none',
  "note" character varying NOT NULL DEFAULT '',
  "resolved_by" uuid NULL,
  "resolved_at" timestamptz NULL,
  "reporter_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "reports_users_reports" FOREIGN KEY ("reporter_id") REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE UNIQUE INDEX "report_open_once" ON "reports" ("reporter_id", "subject_type", "subject_id") WHERE status = 'open';
CREATE INDEX "report_status_created_at_id" ON "reports" ("status", "created_at", "id");
CREATE INDEX "report_subject_type_subject_id" ON "reports" ("subject_type", "subject_id");
