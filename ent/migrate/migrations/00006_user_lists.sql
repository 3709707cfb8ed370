-- +goose Up
CREATE INDEX "user_role" ON "users" ("role") WHERE deleted_at IS NULL;
CREATE INDEX "user_created_at_id" ON "users" ("created_at", "id") WHERE deleted_at IS NULL;
