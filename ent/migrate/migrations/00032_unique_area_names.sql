-- +goose Up
-- Names of areas are unique by name_key: as Café and Cafe, and in both Unicode forms of the
-- é. Areas whose names clash by that keep them and are marked; `picaspot names` lists them.
-- Writers of areas wait until this is done, readers do not. The indexes have the names
-- of those that they replace, so that the previous release knows what a violation means.
LOCK TABLE "areas" IN SHARE ROW EXCLUSIVE MODE;
UPDATE "areas" SET "name_clashes" = true
WHERE "id" IN (
  SELECT id FROM (
    SELECT id, row_number() OVER (PARTITION BY parent_area_id, name_key(name) ORDER BY created_at, id) AS n
    FROM areas WHERE deleted_at IS NULL) living
  WHERE n > 1);
CREATE UNIQUE INDEX "area_parent_name_key" ON "areas" ("parent_area_id", (name_key("name") COLLATE "C"))
  WHERE deleted_at IS NULL AND NOT name_clashes;
CREATE UNIQUE INDEX "area_root_name_key" ON "areas" ((name_key("name") COLLATE "C"))
  WHERE deleted_at IS NULL AND parent_area_id IS NULL AND NOT name_clashes;
-- The lock that readers feel comes last.
DROP INDEX "area_parent_name";
DROP INDEX "area_root_name";
ALTER INDEX "area_parent_name_key" RENAME TO "area_parent_name";
ALTER INDEX "area_root_name_key" RENAME TO "area_root_name";
