-- +goose Up
-- The release before knows no lanes. A webhook that one of its replicas creates gets
-- the first that nobody has, as this release gives them. There are as many as a worker
-- has queues for: beyond them it stays NULL, which is refused.
-- +goose StatementBegin
CREATE FUNCTION webhook_lane() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Both releases hold it by now; whoever inserts by hand may not.
  PERFORM pg_advisory_xact_lock(hashtextextended('webhooks', 0));
  NEW.lane := (SELECT min(n) FROM generate_series(0, 49) n WHERE NOT EXISTS (SELECT FROM public.webhooks w WHERE w.lane = n));
  RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER webhooks_lane BEFORE INSERT ON "webhooks" FOR EACH ROW WHEN (NEW.lane IS NULL) EXECUTE FUNCTION webhook_lane();
