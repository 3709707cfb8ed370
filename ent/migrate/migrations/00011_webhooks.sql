-- +goose Up
CREATE TABLE "webhooks" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "url" character varying NOT NULL,
  "description" character varying NOT NULL DEFAULT '',
  "events" jsonb NOT NULL,
  "secret" bytea NOT NULL,
  "previous_secret" bytea NULL,
  "previous_until" timestamptz NULL,
  "disabled_reason" character varying NULL,
  "disabled_at" timestamptz NULL,
  "failing_since" timestamptz NULL,
  "created_by" uuid NOT NULL,
  PRIMARY KEY ("id")
);
CREATE INDEX "webhook_created_at_id" ON "webhooks" ("created_at", "id");

CREATE TABLE "webhook_deliveries" (
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "webhook_id" uuid NOT NULL,
  "event_id" uuid NOT NULL,
  "event_type" character varying NOT NULL,
  "payload" character varying NOT NULL,
  "status" character varying NOT NULL DEFAULT 'pending',
  "tries" bigint NOT NULL DEFAULT 0,
  "response_status" bigint NULL,
  "duration_ms" bigint NULL,
  "error" character varying NOT NULL DEFAULT '',
  "next_try_at" timestamptz NULL,
  "finished_at" timestamptz NULL,
  "replay_of" uuid NULL,
  PRIMARY KEY ("id")
);
CREATE INDEX "webhookdelivery_webhook_id_created_at_id" ON "webhook_deliveries" ("webhook_id", "created_at", "id");
CREATE INDEX "webhookdelivery_webhook_id_status_created_at_id" ON "webhook_deliveries" ("webhook_id", "status", "created_at", "id");
CREATE INDEX "webhookdelivery_webhook_id_event_type_created_at_id" ON "webhook_deliveries" ("webhook_id", "event_type", "created_at", "id");
CREATE INDEX "webhookdelivery_created_at" ON "webhook_deliveries" ("created_at");
CREATE INDEX "webhookdelivery_pending" ON "webhook_deliveries" ("created_at") WHERE status = 'pending';
