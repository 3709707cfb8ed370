-- +goose Up

-- Partitions: one for each month, in UTC. The default one stays for rows of months
-- that nobody made a partition for.

-- The indexes that the filters of the list need, each in the list's order.
DROP INDEX "audit_log_entity";
DROP INDEX "audit_log_actor";
DROP INDEX "audit_log_request";
CREATE INDEX "audit_log_actor" ON "audit_logs" ("actor_id", "created_at", "id");
CREATE INDEX "audit_log_action" ON "audit_logs" ("action", "created_at", "id");
CREATE INDEX "audit_log_entity" ON "audit_logs" ("entity_id", "created_at", "id");
CREATE INDEX "audit_log_entity_type" ON "audit_logs" ("entity_type", "created_at", "id");
CREATE INDEX "audit_log_request" ON "audit_logs" ("request_id", "created_at", "id");

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION refuse_audit_log_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: the audit log accepts inserts only', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END
$$;
-- +goose StatementEnd

-- audit_make_partitions makes what is missing of the partitions of the present month,
-- of the months ahead and of those whose rows lie in the default partition, which move
-- into their own. It returns how many it made. Writers go on meanwhile; readers wait.
-- +goose StatementBegin
CREATE FUNCTION audit_make_partitions(ahead integer) RETURNS integer LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
  months timestamptz[];
  month timestamptz;
  next_month timestamptz;
  name text;
  made integer := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('audit_logs partitions', 0));
  -- A list, and no cursor, for what is being read can't be altered.
  months := ARRAY(
    SELECT date_trunc('month', now()) + n * interval '1 month' FROM generate_series(0, ahead) n
    UNION SELECT date_trunc('month', created_at) FROM public.audit_logs_default WHERE isfinite(created_at)
    ORDER BY 1);
  FOREACH month IN ARRAY months LOOP
    name := 'audit_logs_' || to_char(month, 'YYYY_MM');
    next_month := month + interval '1 month';
    CONTINUE WHEN to_regclass(format('public.%I', name)) IS NOT NULL;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_logs INCLUDING DEFAULTS)', name);
    -- Attaching takes this lock anyway; from here on no row of the month gets in.
    LOCK TABLE public.audit_logs_default IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM public.audit_logs_default WHERE created_at >= month AND created_at < next_month) THEN
      -- The rows stay in the log and are chained already.
      ALTER TABLE public.audit_logs_default DISABLE TRIGGER USER;
      EXECUTE format('WITH moved AS (DELETE FROM public.audit_logs_default WHERE created_at >= $1 AND created_at < $2 RETURNING *)
        INSERT INTO public.%I SELECT * FROM moved', name) USING month, next_month;
      ALTER TABLE public.audit_logs_default ENABLE TRIGGER USER;
    END IF;
    EXECUTE format('ALTER TABLE public.audit_logs ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', name, month, next_month);
    -- Row triggers come from the table above; those of statements do not.
    EXECUTE format('CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON public.%I
      FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_audit_log_change()', name);
    made := made + 1;
  END LOOP;
  RETURN made;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER "audit_logs_no_truncate" BEFORE TRUNCATE ON "audit_logs_default"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_log_change();
SELECT audit_make_partitions(3);

-- The log is chained by the database itself, at the commit of each transaction that
-- wrote to it: nothing that writes a row can leave out its link, and no transaction
-- waits for another one longer than for its commit. Functions name tables with their
-- schema, so that a temporary table can't take their place.

-- A link is the place of an audit row in one of the chains, and
-- sha256(hash of the link before || the row). It has no foreign key: it outlives the
-- months that retention drops.
CREATE TABLE "audit_links" (
  "chain" smallint NOT NULL,
  "seq" bigint NOT NULL,
  "audit_id" uuid NOT NULL,
  "audit_created_at" timestamptz NOT NULL,
  "hash" bytea NOT NULL,
  PRIMARY KEY ("chain", "seq")
);
-- A row has one link. In this order rows and links are merged to find a row without.
CREATE UNIQUE INDEX "audit_link_row" ON "audit_links" ("audit_created_at", "audit_id");

-- The end of each chain. There are 16, so that transactions seldom meet; each uses one,
-- so that none wait for each other in a circle. The page is mostly empty, for the
-- versions of a row that changes with each transaction.
CREATE TABLE "audit_chain_heads" (
  "chain" smallint NOT NULL PRIMARY KEY,
  "seq" bigint NOT NULL,
  "hash" bytea NOT NULL,
  -- The transaction that wrote last.
  "writer" xid8 NULL,
  -- Whether it wrote more than the link that the head tells of.
  "is_behind" boolean NOT NULL DEFAULT false
) WITH (fillfactor = 10);
INSERT INTO "audit_chain_heads" ("chain", "seq", "hash")
SELECT n, 0, sha256(convert_to('picaspot audit chain ' || n, 'UTF8')) FROM generate_series(0, 15) n;

-- Months that retention dropped: all rows before a time. audit_id is the row of the log
-- that says so.
CREATE TABLE "audit_prunings" (
  "audit_id" uuid NOT NULL PRIMARY KEY,
  "before" timestamptz NOT NULL,
  "at" timestamptz NOT NULL
);

-- audit_link_hash makes the hash of a link. The row is a JSON array of its columns as
-- text, in the table's order, the time in UTC to the microsecond. internal/auditlog has
-- the same expression, since a verification can't trust what it verifies.
-- +goose StatementBegin
CREATE FUNCTION audit_link_hash(
  previous bytea, id uuid, created_at timestamptz, actor_id uuid, action text, entity_type text,
  entity_id uuid, changes jsonb, ip_address text, user_agent text, request_id text
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT sha256(previous || convert_to(jsonb_build_array(
    id::text, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), actor_id::text, action, entity_type,
    entity_id::text, changes::text, ip_address, user_agent, request_id)::text, 'UTF8'))
$$;
-- +goose StatementEnd

-- Rows from before there were chains go into the first one, in their order.
-- +goose StatementBegin
DO $$
DECLARE
  head public.audit_chain_heads;
  a public.audit_logs;
BEGIN
  SELECT * INTO STRICT head FROM public.audit_chain_heads WHERE chain = 0;
  FOR a IN SELECT * FROM public.audit_logs ORDER BY created_at, id LOOP
    head.seq := head.seq + 1;
    head.hash := public.audit_link_hash(head.hash, a.id, a.created_at, a.actor_id, a.action, a.entity_type,
      a.entity_id, a.changes, a.ip_address, a.user_agent, a.request_id);
    INSERT INTO public.audit_links VALUES (0, head.seq, a.id, a.created_at, head.hash);
  END LOOP;
  UPDATE public.audit_chain_heads SET seq = head.seq, hash = head.hash WHERE chain = 0;
END
$$;
-- +goose StatementEnd

-- audit_chain gives a row its link. It runs when the transaction commits, after all
-- that the transaction does, and holds the head of its chain until the commit is
-- through. A transaction of many rows finds its last link behind the head, which it
-- changes twice: each change of a row leaves a version that the next one has to pass,
-- and a thousand would take the square of that.
-- +goose StatementBegin
CREATE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  self CONSTANT xid8 := pg_current_xact_id();
  n CONSTANT smallint := self::text::bigint % 16;
  head public.audit_chain_heads;
BEGIN
  SELECT * INTO STRICT head FROM public.audit_chain_heads WHERE chain = n FOR UPDATE;
  IF head.writer = self THEN
    SELECT seq, hash INTO STRICT head.seq, head.hash FROM public.audit_links WHERE chain = n ORDER BY seq DESC LIMIT 1;
  END IF;
  head.seq := head.seq + 1;
  head.hash := public.audit_link_hash(head.hash, NEW.id, NEW.created_at, NEW.actor_id, NEW.action, NEW.entity_type,
    NEW.entity_id, NEW.changes, NEW.ip_address, NEW.user_agent, NEW.request_id);
  INSERT INTO public.audit_links VALUES (n, head.seq, NEW.id, NEW.created_at, head.hash);
  IF head.writer IS DISTINCT FROM self THEN
    UPDATE public.audit_chain_heads SET seq = head.seq, hash = head.hash, writer = self WHERE chain = n;
  ELSIF NOT head.is_behind THEN
    UPDATE public.audit_chain_heads SET is_behind = true WHERE chain = n;
  END IF;
  RETURN NULL;
END
$$;

-- audit_chain_advance brings a head that is behind to the last link. It is deferred by
-- the first of several rows, and so runs after the last.
CREATE FUNCTION audit_chain_advance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE public.audit_chain_heads h SET seq = l.seq, hash = l.hash, is_behind = false
  FROM (SELECT seq, hash FROM public.audit_links WHERE chain = NEW.chain ORDER BY seq DESC LIMIT 1) l
  WHERE h.chain = NEW.chain;
  RETURN NULL;
END
$$;

-- audit_prune drops the months that had ended at a time, and records that. It returns
-- how many there were. Rows in the default partition stay until they are in a month.
CREATE FUNCTION audit_prune(until timestamptz) RETURNS integer LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
  name text;
  ended timestamptz;
  record_id CONSTANT uuid := gen_random_uuid();
  dropped integer := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('audit_logs partitions', 0));
  FOR name, ended IN
    SELECT p.relname, p.month + interval '1 month' FROM (
      SELECT c.relname, to_date(right(c.relname, 7), 'YYYY_MM') AS month
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'public.audit_logs'::regclass AND c.relname ~ '^audit_logs_\d{4}_\d{2}$'
    ) p WHERE p.month + interval '1 month' <= until ORDER BY p.month
  LOOP
    EXECUTE format('DROP TABLE public.%I', name);
    dropped := dropped + 1;
  END LOOP;
  IF dropped > 0 THEN
    INSERT INTO public.audit_logs (id, created_at, action, entity_type, changes)
    VALUES (record_id, now(), 'audit_pruned', 'audit_log', jsonb_build_object('before', jsonb_build_object('after', ended)));
    INSERT INTO public.audit_prunings (audit_id, before, at) VALUES (record_id, ended, now());
  END IF;
  RETURN dropped;
END
$$;
-- +goose StatementEnd

CREATE CONSTRAINT TRIGGER "audit_logs_chain" AFTER INSERT ON "audit_logs"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_chain();
CREATE CONSTRAINT TRIGGER "audit_chain_heads_advance" AFTER UPDATE OF "is_behind" ON "audit_chain_heads"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.is_behind) EXECUTE FUNCTION audit_chain_advance();

-- Links and heads are written by the triggers above and by no statement of a client.
-- These guards keep honest code from it. Who owns the tables can take them off, as
-- with every trigger; that is what the hashes are for.
CREATE TRIGGER "audit_links_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_links"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_log_change();
CREATE TRIGGER "audit_links_guard" BEFORE INSERT ON "audit_links"
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_audit_log_change();
CREATE TRIGGER "audit_chain_heads_fixed" BEFORE INSERT OR DELETE OR TRUNCATE ON "audit_chain_heads"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_log_change();
CREATE TRIGGER "audit_chain_heads_guard" BEFORE UPDATE ON "audit_chain_heads"
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_audit_log_change();
CREATE TRIGGER "audit_prunings_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_prunings"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_log_change();
