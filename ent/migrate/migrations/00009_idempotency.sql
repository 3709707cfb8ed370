-- +goose Up
-- A key of a user's for requests that create (Idempotency-Key). While there is no
-- answer, a request has it until claimed_until; the answer is written by the
-- transaction that creates, and is what later requests under the key get.
CREATE TABLE "idempotency_keys" (
  "user_id" uuid NOT NULL REFERENCES "users" ("id") ON DELETE CASCADE,
  -- SHA-256 of the key.
  "key_hash" bytea NOT NULL,
  -- The request that has the key, or had it last.
  "claim" uuid NOT NULL,
  "claimed_until" timestamptz NOT NULL,
  -- SHA-256 of what was asked for; unknown while the body of a claim still arrives.
  "fingerprint" bytea NULL,
  -- Sealed.
  "answer" bytea NULL,
  "expires_at" timestamptz NOT NULL,
  PRIMARY KEY ("user_id", "key_hash")
);
CREATE INDEX "idempotency_key_expires_at" ON "idempotency_keys" ("expires_at");
