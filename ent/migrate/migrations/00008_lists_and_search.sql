-- +goose Up
-- Lists: an index for each sort, and for each filter in the order of the lists, so that
-- a rare value costs no more than a common one. Those of foreign keys are not of the
-- living only, since a purge looks for rows whether they live or not.
DROP INDEX "area_parent_area_id";
DROP INDEX "area_created_by";
CREATE INDEX "area_parent_area_id_created_at_id" ON "areas" ("parent_area_id", "created_at", "id");
CREATE INDEX "area_created_by_created_at_id" ON "areas" ("created_by", "created_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "area_is_verified_created_at_id" ON "areas" ("is_verified", "created_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "area_updated_at_id" ON "areas" ("updated_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "area_deleted_by_deleted_at_id" ON "areas" ("deleted_by", "deleted_at", "id") WHERE deleted_at IS NOT NULL;

DROP INDEX "landmark_area_id";
DROP INDEX "landmark_created_by";
CREATE INDEX "landmark_area_id_created_at_id" ON "landmarks" ("area_id", "created_at", "id");
CREATE INDEX "landmark_created_by_created_at_id" ON "landmarks" ("created_by", "created_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "landmark_is_verified_created_at_id" ON "landmarks" ("is_verified", "created_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "landmark_difficulty_created_at_id" ON "landmarks" ("difficulty", "created_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "landmark_updated_at_id" ON "landmarks" ("updated_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "landmark_deleted_by_deleted_at_id" ON "landmarks" ("deleted_by", "deleted_at", "id") WHERE deleted_at IS NOT NULL;

DROP INDEX "user_role";
CREATE INDEX "user_role_created_at_id" ON "users" ("role", "created_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "user_status_created_at_id" ON "users" ("status", "created_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "user_updated_at_id" ON "users" ("updated_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "user_deleted_by_deleted_at_id" ON "users" ("deleted_by", "deleted_at", "id") WHERE deleted_at IS NOT NULL;

DROP INDEX "attempt_landmark_id";
CREATE INDEX "attempt_landmark_id_created_at_id" ON "attempts" ("landmark_id", "created_at", "id");
CREATE INDEX "attempt_created_at_id" ON "attempts" ("created_at", "id");
CREATE INDEX "attempt_updated_at_id" ON "attempts" ("updated_at", "id");

DROP INDEX "unlock_landmark_id";
CREATE INDEX "unlock_landmark_id_created_at_id" ON "unlocks" ("landmark_id", "created_at", "id");
CREATE INDEX "unlock_created_at_id" ON "unlocks" ("created_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "unlock_updated_at_id" ON "unlocks" ("updated_at", "id") WHERE deleted_at IS NULL;
CREATE INDEX "unlock_deleted_by_deleted_at_id" ON "unlocks" ("deleted_by", "deleted_at", "id") WHERE deleted_at IS NOT NULL;

DROP INDEX "report_subject_type_subject_id";
CREATE INDEX "report_subject_id_created_at_id" ON "reports" ("subject_id", "created_at", "id");
CREATE INDEX "report_reporter_id_created_at_id" ON "reports" ("reporter_id", "created_at", "id");
CREATE INDEX "report_created_at_id" ON "reports" ("created_at", "id");
CREATE INDEX "report_updated_at_id" ON "reports" ("updated_at", "id");

-- Text as a search compares it, the same in every locale: without accents, points and
-- vowel signs, whatever the width and case of its letters, and with one form of those
-- that people write in several. The path is fixed since indexes are built under others.
-- +goose StatementBegin
CREATE FUNCTION search_fold(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path FROM CURRENT AS $$
BEGIN
  IF octet_length(t) = char_length(t) THEN
    RETURN lower(t COLLATE "C");
  END IF;
  -- Combining marks of Latin, Greek, Cyrillic, Hebrew and Arabic, and what is invisible.
  t := regexp_replace(normalize(t, NFKD),
    '[\u00AD\u0300-\u036F\u0483-\u0487\u0591-\u05BD\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7\u0610-\u061A\u0640\u064B-\u065F\u0670\u06D6-\u06DC\u06DF-\u06E4\u06E7\u06E8\u06EA-\u06ED\u200B-\u200F\u202A-\u202E\u2060-\u2064\uFE00-\uFE0F\uFEFF]',
    '', 'g');
  t := lower(unaccent('unaccent', normalize(t, NFC)) COLLATE "und-x-icu");
  -- The final sigma; yeh and kaf of Persian, alef maksura and teh marbuta.
  RETURN translate(t, 'ςىیةک', 'σييهك');
END
$$;
-- +goose StatementEnd

-- What names are sorted by, and found by as they are typed. It fits an index's page.
-- +goose StatementBegin
CREATE FUNCTION name_key(name text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path FROM CURRENT AS $$
BEGIN
  RETURN left(btrim(search_fold(name)), 200);
END
$$;
-- +goose StatementEnd

-- The words of a text. Scripts that set no spaces between words (Han, kana, Thai and
-- their like; Hangul, whose words grow endings) yield each two neighbouring characters,
-- and the last one of each run alone. An apostrophe separates words and also does not:
-- Mary's is mary, s and marys. What it costs (some 10 to 20 µs) is stated, so that the
-- planner does not walk a table to avoid an index.
-- +goose StatementBegin
CREATE FUNCTION search_vector(t text) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 5000
SET search_path FROM CURRENT AS $$
DECLARE
  unspaced CONSTANT text := '\u0E00-\u109F\u1780-\u17FF\u3005\u3007\u3040-\u30FF\u31F0-\u31FF\u3400-\u4DBF\u4E00-\u9FFF\uAC00-\uD7A3\U00020000-\U0003FFFF';
BEGIN
  t := search_fold(t);
  IF strpos(t, '''') > 0 THEN
    t := replace(t, '''', '') || ' ' || t;
  END IF;
  IF octet_length(t) = char_length(t) THEN
    -- The parser would take paths, hosts and signed numbers for one word.
    RETURN strip(to_tsvector('simple', translate(t, '-./:@_<&~+''', '           ')));
  END IF;
  t := regexp_replace(t, '[\u0001- !-/:-@\[-`{-~\u0085\u00A1\u00B7\u00BF\u061B\u061F\u0964\u2022\u2028\u2029\u3001\u3002\u300C-\u3011\u30FB]+', ' ', 'g');
  IF t !~ ('[' || unspaced || ']') THEN
    RETURN array_to_tsvector(array_remove(string_to_array(regexp_replace(t, '([^ ]{64})[^ ]+', '\1', 'g'), ' '), ''));
  END IF;
  t := regexp_replace(t, '([' || unspaced || ']+)', E' \x01\\1 ', 'g');
  RETURN array_to_tsvector(ARRAY(
    SELECT CASE WHEN starts_with(part, E'\x01') THEN substr(part, i, 2) ELSE left(part, 64) END
    FROM unnest(string_to_array(t, ' ')) part,
      generate_series(CASE WHEN starts_with(part, E'\x01') THEN 2 ELSE 1 END, CASE WHEN starts_with(part, E'\x01') THEN char_length(part) ELSE 1 END) i
    WHERE part <> ''));
END
$$;
-- +goose StatementEnd

CREATE INDEX "area_name" ON "areas" ((name_key("name") COLLATE "C"), "id") WHERE deleted_at IS NULL;
CREATE INDEX "area_search" ON "areas" USING gin (search_vector("name" || ' ' || "description")) WITH (gin_pending_list_limit = 512) WHERE deleted_at IS NULL;
CREATE INDEX "area_trash_search" ON "areas" USING gin (search_vector("name")) WHERE deleted_at IS NOT NULL;
CREATE INDEX "landmark_name" ON "landmarks" ((name_key("name") COLLATE "C"), "id") WHERE deleted_at IS NULL;
CREATE INDEX "landmark_search" ON "landmarks" USING gin (search_vector("name" || ' ' || "description")) WITH (gin_pending_list_limit = 512) WHERE deleted_at IS NULL;
CREATE INDEX "landmark_trash_search" ON "landmarks" USING gin (search_vector("name")) WHERE deleted_at IS NOT NULL;
CREATE INDEX "report_search" ON "reports" USING gin (search_vector("comment" || ' ' || "note"));
CREATE INDEX "user_trash_search" ON "users" USING gin (search_vector("username"::text)) WHERE deleted_at IS NOT NULL;
-- Admins look for parts of names and addresses.
CREATE INDEX "user_search" ON "users" USING gin (search_fold("username"::text || ' ' || "email"::text || ' ' || coalesce("display_name", '')) gin_trgm_ops) WHERE deleted_at IS NULL;

-- The words of names, to find the one that was meant by one that was mistyped: far fewer
-- than names, and most of them are known already when a row comes. Two transactions at
-- once may both add a word, so that neither has to wait for the other.
CREATE TABLE "search_vocabulary" ("word" text NOT NULL);
CREATE INDEX "search_vocabulary_word" ON "search_vocabulary" ("word");
CREATE INDEX "search_vocabulary_similar" ON "search_vocabulary" USING gin ("word" gin_trgm_ops);

-- Words of four letters and more are worth correcting; numbers are not.
-- +goose StatementBegin
CREATE FUNCTION search_correctable(name text) RETURNS SETOF text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 3
SET search_path FROM CURRENT AS $$
  SELECT word FROM unnest(tsvector_to_array(search_vector(name))) word WHERE char_length(word) BETWEEN 4 AND 40 AND word !~ '^[0-9]+$'
$$;
-- +goose StatementEnd

-- Each word is looked up by itself, in search_vocabulary_word: a join could become one
-- that reads the whole vocabulary, in the plan that a connection keeps for one row and
-- for a thousand.
-- +goose StatementBegin
CREATE FUNCTION learn_words() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO search_vocabulary (word)
    SELECT word FROM (SELECT DISTINCT w.word FROM new_rows n, search_correctable(n.name) w (word)) learned
    WHERE (SELECT v.word FROM search_vocabulary v WHERE v.word = learned.word LIMIT 1) IS NULL;
  ELSE
    INSERT INTO search_vocabulary (word)
    SELECT word FROM (
      SELECT DISTINCT w.word FROM new_rows n JOIN old_rows o ON o.id = n.id AND o.name <> n.name, search_correctable(n.name) w (word)) learned
    WHERE (SELECT v.word FROM search_vocabulary v WHERE v.word = learned.word LIMIT 1) IS NULL;
  END IF;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER "areas_learn_insert" AFTER INSERT ON "areas" REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION learn_words();
CREATE TRIGGER "areas_learn_update" AFTER UPDATE ON "areas" REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION learn_words();
CREATE TRIGGER "landmarks_learn_insert" AFTER INSERT ON "landmarks" REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION learn_words();
CREATE TRIGGER "landmarks_learn_update" AFTER UPDATE ON "landmarks" REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION learn_words();
INSERT INTO "search_vocabulary" ("word")
SELECT DISTINCT w.word FROM (SELECT name FROM areas UNION ALL SELECT name FROM landmarks) named, search_correctable(named.name) w (word);

-- How many rows there are, for lists whose total would else read a whole index for each
-- page: rows of a table that have the same values in some columns are counted together.
-- The sum over a key counts; each transaction adds to a row that no other one holds, so
-- that none waits, and there are no more rows than there were writers at once.
CREATE TABLE "row_totals" (
  "id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "table_name" text NOT NULL,
  "key" jsonb NOT NULL,
  "n" bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX "row_totals_key" ON "row_totals" ("table_name", "key");

-- +goose StatementBegin
CREATE FUNCTION add_to_total(of_table text, of_key jsonb, by bigint) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  UPDATE row_totals SET n = n + by
  WHERE id = (SELECT id FROM row_totals WHERE table_name = of_table AND key = of_key LIMIT 1 FOR UPDATE SKIP LOCKED);
  IF NOT FOUND THEN
    INSERT INTO row_totals (table_name, key, n) VALUES (of_table, of_key, by);
  END IF;
END
$$;
-- +goose StatementEnd

-- Begins to count the rows of a table that meet a condition, by the values of columns:
-- SELECT keep_total('landmarks', '{is_verified}', 'deleted_at IS NULL').
-- +goose StatementBegin
CREATE FUNCTION keep_total(of_table text, columns text[], condition text) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $keep$
DECLARE
  key text := 'jsonb_build_object(' || (SELECT coalesce(string_agg(format('%L, %I', c, c), ', '), '') FROM unnest(columns) c) || ')';
  path text := current_setting('search_path');
BEGIN
  EXECUTE format($f$
    CREATE FUNCTION %1$I() RETURNS trigger LANGUAGE plpgsql SET search_path = %5$s AS $$
    BEGIN
      IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM row_totals WHERE table_name = %2$L;
      ELSIF TG_OP = 'INSERT' THEN
        PERFORM add_to_total(%2$L, key, n) FROM (SELECT %3$s AS key, count(*) AS n FROM new_rows WHERE %4$s GROUP BY 1) counted;
      ELSIF TG_OP = 'DELETE' THEN
        PERFORM add_to_total(%2$L, key, -n) FROM (SELECT %3$s AS key, count(*) AS n FROM old_rows WHERE %4$s GROUP BY 1) counted;
      ELSE
        PERFORM add_to_total(%2$L, key, n) FROM (
          SELECT key, sum(sign) AS n FROM (
            SELECT %3$s AS key, 1 AS sign FROM new_rows WHERE %4$s
            UNION ALL
            SELECT %3$s, -1 FROM old_rows WHERE %4$s) rows
          GROUP BY 1 HAVING sum(sign) <> 0) counted;
      END IF;
      RETURN NULL;
    END
    $$$f$, of_table || '_total', of_table, key, condition, path);
  EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION %I()',
    of_table || '_total_insert', of_table, of_table || '_total');
  EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON %I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION %I()',
    of_table || '_total_update', of_table, of_table || '_total');
  EXECUTE format('CREATE TRIGGER %I AFTER DELETE ON %I REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION %I()',
    of_table || '_total_delete', of_table, of_table || '_total');
  EXECUTE format('CREATE TRIGGER %I AFTER TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION %I()',
    of_table || '_total_truncate', of_table, of_table || '_total');
  -- Triggers are made under a lock that keeps writers away until the end of the transaction.
  EXECUTE format('INSERT INTO row_totals (table_name, key, n) SELECT %L, %s, count(*) FROM %I WHERE %s GROUP BY 2',
    of_table, key, of_table, condition);
END
$keep$;
-- +goose StatementEnd
SELECT keep_total('areas', '{is_verified}', 'deleted_at IS NULL');
SELECT keep_total('landmarks', '{is_verified,difficulty}', 'deleted_at IS NULL');
SELECT keep_total('users', '{role,status}', 'deleted_at IS NULL');
SELECT keep_total('attempts', '{status}', 'TRUE');
SELECT keep_total('unlocks', '{}', 'deleted_at IS NULL');
