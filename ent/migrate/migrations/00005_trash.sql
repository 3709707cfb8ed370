-- +goose Up
-- An area that is purged takes what lies beneath it along; before, its children
-- would have moved to the top.
ALTER TABLE "areas"
  DROP CONSTRAINT "areas_areas_children",
  ADD CONSTRAINT "areas_areas_children" FOREIGN KEY ("parent_area_id") REFERENCES "areas" ("id") ON DELETE CASCADE;

-- A foreign key looks for rows whether they live or not: an index of the living
-- does not serve it, and each purged row would read a whole table.
CREATE INDEX "area_parent_area_id" ON "areas" ("parent_area_id");
DROP INDEX "landmark_area_id";
CREATE INDEX "landmark_area_id" ON "landmarks" ("area_id");
DROP INDEX "unlock_user_id_created_at_id";
CREATE INDEX "unlock_user_id_created_at_id" ON "unlocks" ("user_id", "created_at", "id");
DROP INDEX "unlock_landmark_id";
CREATE INDEX "unlock_landmark_id" ON "unlocks" ("landmark_id");

CREATE INDEX "area_deleted_at_id" ON "areas" ("deleted_at", "id") WHERE deleted_at IS NOT NULL;
CREATE INDEX "area_deletion_id" ON "areas" ("deletion_id") WHERE deleted_at IS NOT NULL;
CREATE INDEX "landmark_deleted_at_id" ON "landmarks" ("deleted_at", "id") WHERE deleted_at IS NOT NULL;
CREATE INDEX "landmark_deletion_id" ON "landmarks" ("deletion_id") WHERE deleted_at IS NOT NULL;
CREATE INDEX "unlock_deleted_at_id" ON "unlocks" ("deleted_at", "id") WHERE deleted_at IS NOT NULL;
CREATE INDEX "unlock_deletion_id" ON "unlocks" ("deletion_id") WHERE deleted_at IS NOT NULL;
CREATE INDEX "user_deleted_at_id" ON "users" ("deleted_at", "id") WHERE deleted_at IS NOT NULL;
CREATE INDEX "user_deletion_id" ON "users" ("deletion_id") WHERE deleted_at IS NOT NULL;

-- Who deleted their account is found again when they log in.
CREATE INDEX "user_deleted_username" ON "users" ("username") WHERE deleted_at IS NOT NULL;
CREATE INDEX "user_deleted_email" ON "users" ("email") WHERE deleted_at IS NOT NULL;
