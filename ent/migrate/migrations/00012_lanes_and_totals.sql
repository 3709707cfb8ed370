-- +goose Up
-- Each webhook has a queue to itself.
ALTER TABLE "webhooks" ADD COLUMN "lane" bigint NULL;
UPDATE "webhooks" SET "lane" = n.lane FROM (SELECT id, row_number() OVER (ORDER BY created_at, id) - 1 AS lane FROM "webhooks") n
WHERE n.id = "webhooks".id;
ALTER TABLE "webhooks" ALTER COLUMN "lane" SET NOT NULL;
CREATE UNIQUE INDEX "webhook_lane" ON "webhooks" ("lane");

-- An import asks which of its rows are in the trash.
CREATE INDEX "landmark_deleted_external_id" ON "landmarks" ("external_id") WHERE deleted_at IS NOT NULL;

-- How many rows a pruning dropped: the heads of the chains know how many there ever
-- were, so that no list has to count the log.
ALTER TABLE "audit_prunings" ADD COLUMN "dropped" bigint NOT NULL DEFAULT 0;
ALTER TABLE "audit_prunings" DISABLE TRIGGER USER;
UPDATE "audit_prunings" SET "dropped" = (SELECT sum(seq) FROM "audit_chain_heads") - (SELECT count(*) FROM "audit_logs")
WHERE audit_id = (SELECT audit_id FROM "audit_prunings" ORDER BY at DESC, audit_id LIMIT 1);
ALTER TABLE "audit_prunings" ENABLE TRIGGER USER;

-- audit_prune drops the months that had ended at a time, and records that. It returns
-- how many there were. Rows in the default partition stay until they are in a month.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_prune(until timestamptz) RETURNS integer LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
  name text;
  ended timestamptz;
  record_id CONSTANT uuid := gen_random_uuid();
  months integer := 0;
  n bigint;
  n_rows bigint := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('audit_logs partitions', 0));
  FOR name, ended IN
    SELECT p.relname, p.month + interval '1 month' FROM (
      SELECT c.relname, to_date(right(c.relname, 7), 'YYYY_MM') AS month
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'public.audit_logs'::regclass AND c.relname ~ '^audit_logs_\d{4}_\d{2}$'
    ) p WHERE p.month + interval '1 month' <= until ORDER BY p.month
  LOOP
    -- Readers go on while it counts; nobody writes to a month that has ended.
    EXECUTE format('LOCK TABLE public.%I IN SHARE MODE', name);
    EXECUTE format('SELECT count(*) FROM public.%I', name) INTO STRICT n;
    n_rows := n_rows + n;
    EXECUTE format('DROP TABLE public.%I', name);
    months := months + 1;
  END LOOP;
  IF months > 0 THEN
    INSERT INTO public.audit_logs (id, created_at, action, entity_type, changes)
    VALUES (record_id, now(), 'audit_pruned', 'audit_log', jsonb_build_object('before', jsonb_build_object('after', ended)));
    INSERT INTO public.audit_prunings (audit_id, before, at, dropped) VALUES (record_id, ended, now(), n_rows);
  END IF;
  RETURN months;
END
$$;
-- +goose StatementEnd
