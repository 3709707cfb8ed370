-- +goose Up
-- Boxes of degrees: tiles, bounding boxes and the cells of the map.
CREATE INDEX "landmark_position" ON "landmarks" USING gist (("location"::geometry)) WHERE deleted_at IS NULL;

-- Copies of rows are kept outside of the database. Each transaction gathers what it
-- touches that others may have copies of, as words in a setting of its own; whoever
-- commits it reads them and tells the copies' keepers. A trigger sees every change,
-- whoever wrote the statement.
--
--   c<number>  a cell of the map     l<uuid>  a landmark    landmarks  any landmark
--   u<uuid>    a user's unlocks      a<uuid>  an area       areas      any area
--   *          too much to name
-- +goose StatementBegin
CREATE FUNCTION touch(words text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  gathered text := coalesce(current_setting('picaspot.touched', true), '');
BEGIN
  IF gathered = '*' OR cardinality(words) = 0 THEN
    RETURN;
  END IF;
  gathered := concat_ws(' ', nullif(gathered, ''), array_to_string(words, ' '));
  IF '*' = ANY(words) OR length(gathered) > 16384 THEN
    gathered := '*';
  END IF;
  PERFORM set_config('picaspot.touched', gathered, true);
END
$$;
-- +goose StatementEnd

-- The cell that a place lies in, as package geo counts them: 2^14 rows from south to
-- north and 2^15 columns from west to east.
-- +goose StatementBegin
CREATE FUNCTION map_cell(place geometry) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT least(floor((ST_Y(place) + 90) / 180 * 16384), 16383)::bigint * 32768
       + least(floor((ST_X(place) + 180) / 360 * 32768), 32767)::bigint
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION touch_landmarks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  many CONSTANT int := 1000;
  words text[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT many) rows) = many THEN
      PERFORM touch(ARRAY['*']);
      RETURN NULL;
    END IF;
    SELECT array_agg(DISTINCT 'c' || map_cell(location::geometry)) || array_agg('l' || id) INTO words
    FROM new_rows WHERE deleted_at IS NULL;
  ELSIF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT many) rows) = many THEN
    PERFORM touch(ARRAY['*']);
    RETURN NULL;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(DISTINCT 'c' || map_cell(location::geometry)) || array_agg('l' || id) INTO words
    FROM old_rows WHERE deleted_at IS NULL;
  ELSE
    SELECT array_agg(DISTINCT 'c' || map_cell(location::geometry)) || array_agg(DISTINCT 'l' || id) INTO words
    FROM (SELECT id, location, deleted_at FROM old_rows UNION ALL SELECT id, location, deleted_at FROM new_rows) rows
    WHERE deleted_at IS NULL;
  END IF;
  IF words IS NOT NULL THEN
    PERFORM touch(array_prepend('landmarks', words));
  END IF;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER "landmarks_touch_insert" AFTER INSERT ON "landmarks" REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_landmarks();
CREATE TRIGGER "landmarks_touch_update" AFTER UPDATE ON "landmarks" REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_landmarks();
CREATE TRIGGER "landmarks_touch_delete" AFTER DELETE ON "landmarks" REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_landmarks();

-- +goose StatementBegin
CREATE FUNCTION touch_areas() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  many CONSTANT int := 1000;
  words text[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT many) rows) = many THEN
      PERFORM touch(ARRAY['*']);
      RETURN NULL;
    END IF;
    SELECT array_agg('a' || id) INTO words FROM new_rows WHERE deleted_at IS NULL;
  ELSIF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT many) rows) = many THEN
    PERFORM touch(ARRAY['*']);
    RETURN NULL;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg('a' || id) INTO words FROM old_rows WHERE deleted_at IS NULL;
  ELSE
    SELECT array_agg(DISTINCT 'a' || id) INTO words
    FROM (SELECT id, deleted_at FROM old_rows UNION ALL SELECT id, deleted_at FROM new_rows) rows
    WHERE deleted_at IS NULL;
  END IF;
  IF words IS NOT NULL THEN
    PERFORM touch(array_prepend('areas', words));
  END IF;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER "areas_touch_insert" AFTER INSERT ON "areas" REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_areas();
CREATE TRIGGER "areas_touch_update" AFTER UPDATE ON "areas" REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_areas();
CREATE TRIGGER "areas_touch_delete" AFTER DELETE ON "areas" REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_areas();

-- +goose StatementBegin
CREATE FUNCTION touch_unlocks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  words text[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(DISTINCT 'u' || user_id) INTO words FROM new_rows WHERE deleted_at IS NULL;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(DISTINCT 'u' || user_id) INTO words FROM old_rows WHERE deleted_at IS NULL;
  ELSE
    -- Captions and the like are in nobody's copy.
    SELECT array_agg(DISTINCT 'u' || n.user_id) INTO words
    FROM new_rows n JOIN old_rows o ON o.id = n.id
    WHERE (n.deleted_at IS NULL) <> (o.deleted_at IS NULL);
  END IF;
  IF words IS NOT NULL THEN
    PERFORM touch(words);
  END IF;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER "unlocks_touch_insert" AFTER INSERT ON "unlocks" REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_unlocks();
CREATE TRIGGER "unlocks_touch_update" AFTER UPDATE ON "unlocks" REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_unlocks();
CREATE TRIGGER "unlocks_touch_delete" AFTER DELETE ON "unlocks" REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_unlocks();
