-- +goose Up
CREATE EXTENSION IF NOT EXISTS postgis;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS citext;
CREATE EXTENSION IF NOT EXISTS unaccent;

CREATE TABLE "areas" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "deleted_at" timestamptz NULL,
  "deleted_by" uuid NULL,
  "deletion_id" uuid NULL,
  "name" character varying NOT NULL,
  "description" character varying NOT NULL DEFAULT '',
  "created_by" uuid NOT NULL,
  "is_verified" boolean NOT NULL DEFAULT false,
  "image" jsonb NULL,
  "external_id" character varying NULL,
  "parent_area_id" uuid NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "areas_areas_children" FOREIGN KEY ("parent_area_id") REFERENCES "areas" ("id") ON DELETE SET NULL
);
CREATE UNIQUE INDEX "area_parent_name" ON "areas" ("parent_area_id", "name") WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX "area_root_name" ON "areas" ("name") WHERE deleted_at IS NULL AND parent_area_id IS NULL;
CREATE UNIQUE INDEX "area_external_id" ON "areas" ("external_id") WHERE deleted_at IS NULL;
CREATE INDEX "area_created_at_id" ON "areas" ("created_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "area_created_by" ON "areas" ("created_by") WHERE deleted_at IS NULL;

CREATE TABLE "signing_keys" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "sealed_private_key" bytea NOT NULL,
  "activates_at" timestamptz NOT NULL,
  "retires_at" timestamptz NULL,
  PRIMARY KEY ("id")
);

CREATE TABLE "landmarks" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "deleted_at" timestamptz NULL,
  "deleted_by" uuid NULL,
  "deletion_id" uuid NULL,
  "name" character varying NOT NULL,
  "description" character varying NOT NULL DEFAULT '',
  "hint" character varying NOT NULL DEFAULT '',
  "difficulty" bigint NOT NULL DEFAULT 1,
  "location" geography(point,4326) NOT NULL,
  "unlock_radius_meters" double precision NOT NULL DEFAULT 100,
  "photo_location" geography(point,4326) NULL,
  "photo_radius_meters" double precision NOT NULL DEFAULT 50,
  "created_by" uuid NOT NULL,
  "is_verified" boolean NOT NULL DEFAULT false,
  "image" jsonb NULL,
  "external_id" character varying NULL,
  "area_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "landmarks_areas_landmarks" FOREIGN KEY ("area_id") REFERENCES "areas" ("id") ON DELETE CASCADE,
  CONSTRAINT "landmark_difficulty" CHECK (difficulty BETWEEN 1 AND 5),
  CONSTRAINT "landmark_photo_radius" CHECK (photo_radius_meters BETWEEN 1 AND 10000),
  CONSTRAINT "landmark_unlock_radius" CHECK (unlock_radius_meters BETWEEN 1 AND 10000)
);
CREATE INDEX "landmark_location" ON "landmarks" USING GIST ("location") WHERE deleted_at IS NULL;
CREATE INDEX "landmark_area_id" ON "landmarks" ("area_id") WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX "landmark_external_id" ON "landmarks" ("external_id") WHERE deleted_at IS NULL;
CREATE INDEX "landmark_created_at_id" ON "landmarks" ("created_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "landmark_created_by" ON "landmarks" ("created_by") WHERE deleted_at IS NULL;

CREATE TABLE "users" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "deleted_at" timestamptz NULL,
  "deleted_by" uuid NULL,
  "deletion_id" uuid NULL,
  "username" citext NOT NULL,
  "email" citext NOT NULL,
  "email_verified_at" timestamptz NULL,
  "password_hash" character varying NOT NULL,
  "password_changed_at" timestamptz NOT NULL,
  "role" character varying NOT NULL,
  "status" character varying NOT NULL DEFAULT 'active',
  PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "user_username" ON "users" ("username") WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX "user_email" ON "users" ("email") WHERE deleted_at IS NULL;

CREATE TABLE "attempts" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "status" character varying NOT NULL DEFAULT 'pending',
  "location" geography(point,4326) NOT NULL,
  "accuracy_meters" double precision NULL,
  "captured_at" timestamptz NULL,
  "photo" jsonb NOT NULL,
  "image" jsonb NULL,
  "checks" jsonb NULL,
  "score" double precision NULL,
  "decided_at" timestamptz NULL,
  "landmark_id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "attempts_landmarks_attempts" FOREIGN KEY ("landmark_id") REFERENCES "landmarks" ("id") ON DELETE CASCADE,
  CONSTRAINT "attempts_users_attempts" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE INDEX "attempt_user_id_created_at_id" ON "attempts" ("user_id", "created_at", "id");
CREATE INDEX "attempt_landmark_id" ON "attempts" ("landmark_id");
CREATE INDEX "attempt_status_created_at_id" ON "attempts" ("status", "created_at", "id");

CREATE TABLE "mail_tokens" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "purpose" character varying NOT NULL,
  "email" citext NOT NULL,
  "token_hash" bytea NOT NULL,
  "expires_at" timestamptz NOT NULL,
  "used_at" timestamptz NULL,
  "user_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "mail_tokens_users_mail_tokens" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE UNIQUE INDEX "mailtoken_token_hash" ON "mail_tokens" ("token_hash");
CREATE INDEX "mailtoken_user_id" ON "mail_tokens" ("user_id");
CREATE INDEX "mailtoken_expires_at" ON "mail_tokens" ("expires_at");

CREATE TABLE "sessions" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "user_agent" character varying NOT NULL DEFAULT '',
  "ip_address" character varying NOT NULL DEFAULT '',
  "last_used_at" timestamptz NOT NULL,
  "expires_at" timestamptz NOT NULL,
  "ended_at" timestamptz NULL,
  "user_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "sessions_users_sessions" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE INDEX "session_user_id" ON "sessions" ("user_id");
CREATE INDEX "session_expires_at" ON "sessions" ("expires_at");

CREATE TABLE "unlocks" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "deleted_at" timestamptz NULL,
  "deleted_by" uuid NULL,
  "deletion_id" uuid NULL,
  "is_posted_to_feed" boolean NOT NULL DEFAULT false,
  "caption" character varying NOT NULL DEFAULT '',
  "attempt_id" uuid NULL,
  "landmark_id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "unlocks_attempts_unlocks" FOREIGN KEY ("attempt_id") REFERENCES "attempts" ("id") ON DELETE SET NULL,
  CONSTRAINT "unlocks_landmarks_unlocks" FOREIGN KEY ("landmark_id") REFERENCES "landmarks" ("id") ON DELETE CASCADE,
  CONSTRAINT "unlocks_users_unlocks" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE UNIQUE INDEX "unlock_user_id_landmark_id" ON "unlocks" ("user_id", "landmark_id") WHERE deleted_at IS NULL;
CREATE INDEX "unlock_user_id_created_at_id" ON "unlocks" ("user_id", "created_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "unlock_landmark_id" ON "unlocks" ("landmark_id") WHERE deleted_at IS NULL;
CREATE INDEX "unlock_attempt_id" ON "unlocks" ("attempt_id");

-- The audit log is not an ent entity: rows are written by ent's audit hook and by
-- services in the transaction of the change, and nothing alters them afterwards.
CREATE TABLE "audit_logs" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "actor_id" uuid NULL,
  "action" character varying NOT NULL,
  "entity_type" character varying NOT NULL,
  "entity_id" uuid NULL,
  "changes" jsonb NOT NULL,
  "ip_address" character varying NOT NULL DEFAULT '',
  "user_agent" character varying NOT NULL DEFAULT '',
  "request_id" character varying NOT NULL DEFAULT '',
  PRIMARY KEY ("created_at", "id")
) PARTITION BY RANGE ("created_at");
CREATE TABLE "audit_logs_default" PARTITION OF "audit_logs" DEFAULT;
CREATE INDEX "audit_log_entity" ON "audit_logs" ("entity_type", "entity_id", "created_at");
CREATE INDEX "audit_log_actor" ON "audit_logs" ("actor_id", "created_at");
CREATE INDEX "audit_log_request" ON "audit_logs" ("request_id");

-- +goose StatementBegin
CREATE FUNCTION refuse_audit_log_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit_logs accepts inserts only' USING ERRCODE = 'insufficient_privilege';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER "audit_logs_append_only" BEFORE UPDATE OR DELETE ON "audit_logs"
  FOR EACH ROW EXECUTE FUNCTION refuse_audit_log_change();
CREATE TRIGGER "audit_logs_no_truncate" BEFORE TRUNCATE ON "audit_logs"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_log_change();
