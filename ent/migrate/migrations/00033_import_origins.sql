-- +goose Up
-- What a file said of a landmark at its last import: columns by their names in the
-- importer, long values as a digest. A column wins over the landmark only if it has
-- changed since.
CREATE TABLE "import_landmarks" (
  "landmark_id" uuid NOT NULL REFERENCES "landmarks" ("id") ON DELETE CASCADE,
  "said" jsonb NOT NULL,
  PRIMARY KEY ("landmark_id")
);

-- Which area a name in a file stands for, so that an area is found after it was renamed
-- or moved. "within" is the area that the import puts everything into; "name" is empty
-- for that area itself.
CREATE TABLE "import_areas" (
  "namespace" text NOT NULL,
  "within" text NOT NULL,
  "name" text NOT NULL,
  "area_id" uuid NOT NULL REFERENCES "areas" ("id") ON DELETE CASCADE,
  PRIMARY KEY ("namespace", "within", "name")
);
CREATE INDEX "import_area_area_id" ON "import_areas" ("area_id");
