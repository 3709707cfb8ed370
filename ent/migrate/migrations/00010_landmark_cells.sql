-- +goose Up
-- The map that tiles are cut from: the square of Web Mercator (EPSG:3857), 2^32 steps
-- wide and high, counted from its north-western corner. A step is 9 mm at the equator.
-- What lies beyond the square's edges, at 85.05 degrees, stands on them. Both are not
-- STRICT, since the planner inlines them then.
-- +goose StatementBegin
CREATE FUNCTION mercator_x(place geometry) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT least(floor((ST_X(place) + 180) / 360 * 4294967296)::bigint, 4294967295)
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION mercator_y(place geometry) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT least(greatest(floor((0.5 - ln(tan(pi() / 4 + radians(least(greatest(ST_Y(place), -86), 86)) / 2)) / (2 * pi()))
    * 4294967296)::bigint, 0), 4294967295)
$$;
-- +goose StatementEnd

-- The cell of a position when the square is halved sixteen times: the bits of its
-- column and of its row in turn (a Morton code). The cells of a tile are a range of
-- them, and two bits less are the cell that is twice as wide.
-- +goose StatementBegin
CREATE FUNCTION mercator_cell(x bigint, y bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  -- The row in the upper half, the column in the lower one: both are spread at once.
  bits bigint := ((y >> 16) << 32) | (x >> 16);
BEGIN
  bits := (bits | (bits << 8)) & 71777214294589695;    -- 0x00ff00ff00ff00ff
  bits := (bits | (bits << 4)) & 1085102592571150095;  -- 0x0f0f0f0f0f0f0f0f
  bits := (bits | (bits << 2)) & 3689348814741910323;  -- 0x3333333333333333
  bits := (bits | (bits << 1)) & 6148914691236517205;  -- 0x5555555555555555
  RETURN (bits & 4294967295) | ((bits >> 32) << 1);
END
$$;
-- +goose StatementEnd

-- The box of degrees that holds what stands in a tile, as west,south,east,north.
-- +goose StatementBegin
CREATE FUNCTION mercator_bbox(zoom integer, tile_x bigint, tile_y bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT concat_ws(',',
    floor((tile_x / side * 360 - 180) * 1e7) / 1e7,
    CASE WHEN tile_y + 1 = side THEN -90 ELSE floor(degrees(atan(sinh(pi() * (1 - 2 * (tile_y + 1) / side)))) * 1e7) / 1e7 END,
    ceil(((tile_x + 1) / side * 360 - 180) * 1e7) / 1e7,
    CASE WHEN tile_y = 0 THEN 90 ELSE ceil(degrees(atan(sinh(pi() * (1 - 2 * tile_y / side)))) * 1e7) / 1e7 END)
  FROM (SELECT 2::float8 ^ zoom AS side) tiles
$$;
-- +goose StatementEnd

-- How many landmarks live in each cell of the map, and the sums of their positions, for
-- every third level. Level 16 has the cells of mercator_cell, each level less two bits less.
CREATE TABLE "landmark_cells" (
  "level" smallint NOT NULL,
  "cell" bigint NOT NULL,
  "n" bigint NOT NULL,
  "x" bigint NOT NULL,
  "y" bigint NOT NULL,
  PRIMARY KEY ("level", "cell")
);

-- What is not counted there yet. Two transactions in the same city would wait for each
-- other on the same counter; each adds a row here instead, and readers add both up.
CREATE TABLE "landmark_cell_changes" (
  "cell" bigint NOT NULL,
  "n" bigint NOT NULL,
  "x" bigint NOT NULL,
  "y" bigint NOT NULL
);
CREATE INDEX "landmark_cell_change_cell" ON "landmark_cell_changes" ("cell");

-- +goose StatementBegin
CREATE FUNCTION count_landmarks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO landmark_cell_changes (cell, n, x, y)
    SELECT mercator_cell(x, y), count(*), sum(x), sum(y)
    FROM (SELECT mercator_x(location::geometry) AS x, mercator_y(location::geometry) AS y FROM new_rows WHERE deleted_at IS NULL) living
    GROUP BY 1;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO landmark_cell_changes (cell, n, x, y)
    SELECT mercator_cell(x, y), -count(*), -sum(x), -sum(y)
    FROM (SELECT mercator_x(location::geometry) AS x, mercator_y(location::geometry) AS y FROM old_rows WHERE deleted_at IS NULL) living
    GROUP BY 1;
  ELSE
    -- Most updates move nothing, and leave nothing.
    INSERT INTO landmark_cell_changes (cell, n, x, y)
    SELECT mercator_cell(x, y), sum(sign), sum(sign * x), sum(sign * y)
    FROM (
      SELECT 1 AS sign, mercator_x(location::geometry) AS x, mercator_y(location::geometry) AS y FROM new_rows WHERE deleted_at IS NULL
      UNION ALL
      SELECT -1, mercator_x(location::geometry), mercator_y(location::geometry) FROM old_rows WHERE deleted_at IS NULL
    ) moved
    GROUP BY 1 HAVING sum(sign) <> 0 OR sum(sign * x) <> 0 OR sum(sign * y) <> 0;
  END IF;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER "landmarks_count_insert" AFTER INSERT ON "landmarks" REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION count_landmarks();
CREATE TRIGGER "landmarks_count_update" AFTER UPDATE ON "landmarks" REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION count_landmarks();
CREATE TRIGGER "landmarks_count_delete" AFTER DELETE ON "landmarks" REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION count_landmarks();

-- Counts all landmarks anew, while nobody writes any: for those that are there before
-- their triggers are.
-- +goose StatementBegin
CREATE FUNCTION recount_landmarks() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  LOCK TABLE landmarks IN SHARE MODE;
  LOCK TABLE landmark_cell_changes, landmark_cells IN EXCLUSIVE MODE;
  DELETE FROM landmark_cells;
  DELETE FROM landmark_cell_changes;
  INSERT INTO landmark_cells (level, cell, n, x, y)
  SELECT level, cell >> (2 * (16 - level)), sum(n), sum(x), sum(y)
  FROM (
    SELECT mercator_cell(x, y) AS cell, count(*) AS n, sum(x) AS x, sum(y) AS y
    FROM (SELECT mercator_x(location::geometry) AS x, mercator_y(location::geometry) AS y FROM landmarks WHERE deleted_at IS NULL) living
    GROUP BY 1
  ) counted, unnest('{4,7,10,13,16}'::int[]) AS level
  GROUP BY 1, 2;
END
$$;
-- +goose StatementEnd
SELECT recount_landmarks();

-- Tells the planner how many landmarks a box of degrees leaves, for those that are not
-- looked up by their position.
CREATE STATISTICS "landmark_degrees" ON (ST_X("location"::geometry)), (ST_Y("location"::geometry)) FROM "landmarks";
ANALYZE "landmarks";
