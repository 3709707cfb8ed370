-- +goose Up
ALTER TABLE "users"
  ADD COLUMN "display_name" character varying NULL,
  ADD COLUMN "bio" character varying NOT NULL DEFAULT '',
  ADD COLUMN "avatar" jsonb NULL;

ALTER TABLE "mail_tokens" ADD COLUMN "used_from" character varying NOT NULL DEFAULT '';

ALTER TABLE "sessions"
  ADD COLUMN "remember" boolean NOT NULL DEFAULT false,
  ADD COLUMN "second_factor" boolean NOT NULL DEFAULT false,
  ADD COLUMN "refresh_hash" bytea NOT NULL DEFAULT '',
  ADD COLUMN "previous_refresh_hash" bytea NULL,
  ADD COLUMN "sealed_refresh_token" bytea NULL,
  ADD COLUMN "idle_expires_at" timestamptz NULL,
  ADD COLUMN "end_reason" character varying NULL;
-- Sessions from before have no refresh token: they end with their access token at the latest.
UPDATE "sessions" SET "idle_expires_at" = "expires_at";
ALTER TABLE "sessions"
  ALTER COLUMN "refresh_hash" DROP DEFAULT,
  ALTER COLUMN "idle_expires_at" SET NOT NULL;
DROP INDEX "session_user_id";
CREATE INDEX "session_user_id_last_used_at_id" ON "sessions" ("user_id", "last_used_at", "id");

CREATE TABLE "authenticators" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "sealed_secret" bytea NOT NULL,
  "confirmed_at" timestamptz NULL,
  "last_step" bigint NOT NULL DEFAULT 0,
  "user_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "authenticators_users_authenticators" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE UNIQUE INDEX "authenticator_user_id" ON "authenticators" ("user_id");

CREATE TABLE "recovery_codes" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "code_hash" bytea NOT NULL,
  "used_at" timestamptz NULL,
  "user_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "recovery_codes_users_recovery_codes" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE UNIQUE INDEX "recoverycode_user_id_code_hash" ON "recovery_codes" ("user_id", "code_hash");

CREATE TABLE "roles" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "name" character varying NOT NULL,
  "requires_mfa" boolean NOT NULL DEFAULT false,
  PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "role_name" ON "roles" ("name");
