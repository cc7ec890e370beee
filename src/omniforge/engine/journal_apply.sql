-- Applies a batch of the journal as one statement: its own transaction, one message to the server.
--
-- writer, number: the batch's marker. A batch that is not the next one of its writer is refused (OF001), so
-- a message that was given up for lost can never be carried out after all.
-- locks: of the tenants, sorted. items: what is to be done, in order. places: runs of one tenant driven at once.
-- The answer of each item: what `PostgresJournal` tells about it. See postgres_items.py for their fields.
CREATE FUNCTION {name}(writer text, number bigint, locks bigint[], items jsonb, places int)
RETURNS jsonb LANGUAGE plpgsql AS $apply$
DECLARE
  unfinished CONSTANT text[] := ARRAY['queued', 'running', 'waiting', 'paused'];
  item jsonb;
  answer jsonb;
  answers jsonb := '[]';
  kept jsonb := '[]';  -- answers as the marker keeps them, for whoever did not get the reply
  told jsonb := '[]';
  touched text[] := '{}';
  run runs%ROWTYPE;
  name text;
  same text;
  event jsonb;
  is_known boolean;
  is_open boolean;
  wanted boolean;
  tenant text;
  seq int;
  last text;
BEGIN
  UPDATE journal_writers SET batch = number, at = clock_timestamp() WHERE id = writer AND batch = number - 1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'batch % of % is not the next', number, writer USING ERRCODE = 'OF001';
  END IF;
  PERFORM pg_advisory_xact_lock(k) FROM unnest(locks) AS k;

  FOR item IN SELECT value FROM jsonb_array_elements(items) LOOP
    answer := 'false';
    name := item ->> 'run_id';
    wanted := false;
    SELECT * INTO run FROM runs WHERE id = name;
    is_known := FOUND;
    is_open := is_known AND run.status = ANY(unfinished);

    CASE item ->> 'do'
    WHEN 'start' THEN
      answer := NULL;
      same := NULL;
      IF item ? 'key' THEN
        SELECT id INTO same FROM runs
         WHERE tenant_id = item ->> 'tenant_id' AND idempotency_key = item ->> 'key';
      END IF;
      IF same IS NOT NULL THEN
        answer := to_jsonb(same);
      ELSIF NOT item ? 'quota' OR (item ->> 'quota')::int > (
        SELECT count(*) FROM runs
         WHERE tenant_id = item ->> 'tenant_id' AND status IN ('queued', 'running', 'waiting', 'paused'))
      THEN
        IF item ? 'plan' THEN
          INSERT INTO plans (hash, plan) VALUES (item ->> 'plan_hash', item ->> 'plan') ON CONFLICT DO NOTHING;
        END IF;
        INSERT INTO runs ({run_columns})
        SELECT {run_columns} FROM jsonb_to_record(item -> 'run') AS r({run_types});
        answer := to_jsonb(name);
        wanted := true;
      END IF;

    WHEN 'write' THEN
      IF (CASE
        WHEN NOT is_known THEN NOT item ?| ARRAY['epoch', 'status', 'request', 'answers']
        WHEN item ? 'epoch' AND run.epoch <> (item ->> 'epoch')::int THEN false
        WHEN item ? 'answers' AND NOT EXISTS (
          SELECT 1 FROM run_steps s
           WHERE s.run_id = name AND s.key = item ->> 'answers' AND s.attempt = (item ->> 'attempt')::int
             AND s.status = 'waiting') THEN false
        WHEN item ? 'reopen' THEN NOT is_open AND run.finished_at = item ->> 'reopen'
        WHEN item ? 'status' THEN is_open
        WHEN item ?| ARRAY['request', 'epoch'] THEN is_open
        ELSE true
      END) THEN
        answer := 'true';
      END IF;

    WHEN 'claim' THEN
      answer := NULL;
      IF is_known AND EXISTS (SELECT 1 FROM run_places p WHERE p.run_id = name AND p.granted) THEN
        IF NOT is_open OR (run.status = 'paused' AND coalesce(run.request, '') NOT LIKE 'cancel%') THEN
          DELETE FROM run_places p WHERE p.run_id = name;
          touched := touched || run.tenant_id::text;
        ELSE
          UPDATE runs SET epoch = epoch + 1 WHERE id = name;
          UPDATE run_places p SET again = false WHERE p.run_id = name AND p.again;
          IF run.status = 'running' THEN
            PERFORM pg_notify('omniforge_runs', name);  -- whoever drove it, and may yet wake up, is to stop
          END IF;
          run.epoch := run.epoch + 1;
          kept := kept || jsonb_build_array(jsonb_build_object('epoch', run.epoch));
          answer := jsonb_build_object('epoch', run.epoch, 'run', to_jsonb(run), 'steps', (
            SELECT coalesce(jsonb_agg(to_jsonb(s)), '[]') FROM run_steps s WHERE s.run_id = name));
        END IF;
      END IF;

    WHEN 'line_up' THEN
      wanted := is_open AND (
        NOT item ? 'wake_at' OR (run.status = 'waiting' AND run.wake_at = item ->> 'wake_at'));
      answer := to_jsonb(wanted);

    WHEN 'look' THEN
      UPDATE run_places p SET again = false WHERE p.run_id = name AND p.again;
      answer := 'true';

    WHEN 'grant' THEN
      touched := touched || (item ->> 'tenant_id');
      answer := 'true';

    WHEN 'timer' THEN
      PERFORM {timer};
      answer := 'true';
    END CASE;

    IF item ->> 'do' IN ('start', 'write') AND answer IN ('true', to_jsonb(name)) THEN
      IF item ? 'status' THEN
        UPDATE runs SET
          status = item ->> 'status',
          error = CASE WHEN item ? 'reopen' THEN NULL ELSE coalesce(item ->> 'error', error) END,
          request = CASE WHEN item ? 'over' THEN NULL
                         WHEN item ? 'request' THEN nullif(item ->> 'request', '') ELSE request END,
          wake_at = item ->> 'wake_at',
          started_at = CASE WHEN item ->> 'status' = 'running' THEN coalesce(started_at, item ->> 'at')
                            ELSE started_at END,
          finished_at = CASE WHEN item ? 'over' THEN item ->> 'at'
                             WHEN item ? 'reopen' THEN NULL ELSE finished_at END
        WHERE id = name;
      ELSIF item ? 'request' THEN
        UPDATE runs SET request = nullif(item ->> 'request', '') WHERE id = name;
      END IF;
      IF item ? 'steps' THEN
        INSERT INTO run_steps ({step_columns})
        SELECT {step_columns} FROM jsonb_to_recordset(item -> 'steps') AS s({step_types})
        ON CONFLICT (run_id, key) DO UPDATE SET {step_updates};
      END IF;
      IF item ? 'events' THEN
        told := told || (item -> 'events');
      END IF;
      IF item ? 'status' AND item ->> 'status' NOT IN ('queued', 'running') THEN
        wanted := false;
        touched := touched || (item ->> 'tenant_id');
        DELETE FROM run_places p WHERE p.run_id = name AND (item ? 'over' OR NOT p.again);
        UPDATE run_places p SET granted = false, again = false, position = {now} WHERE p.run_id = name;
        IF item ->> 'status' = 'waiting' AND item ? 'wake_at' THEN
          PERFORM {timer};
        END IF;
      END IF;
      IF item ->> 'do' = 'write' AND NOT item ? 'epoch' AND is_known
         AND item ?| ARRAY['status', 'request', 'answers', 'steps'] THEN
        PERFORM pg_notify('omniforge_runs', name);
        SELECT * INTO run FROM runs WHERE id = name;
        wanted := run.status = ANY(unfinished) AND (
          item ? 'answers' OR coalesce(item ->> 'request', '') <> ''
          OR coalesce(item ->> 'status', '') IN ('queued', 'running'));
      END IF;
    END IF;

    IF wanted THEN
      INSERT INTO run_places AS p (run_id, tenant_id, priority, position, granted, again)
      SELECT r.id, r.tenant_id, r.priority, {now}, false, false FROM runs r WHERE r.id = name
      ON CONFLICT (run_id) DO UPDATE SET again = p.granted;
      touched := touched || (item ->> 'tenant_id');
    END IF;
    answers := answers || jsonb_build_array(answer);
    IF jsonb_array_length(kept) < jsonb_array_length(answers) THEN
      kept := kept || jsonb_build_array(answer);
    END IF;
  END LOOP;

  IF cardinality(touched) > 0
     AND EXISTS (SELECT 1 FROM run_places p WHERE p.tenant_id = ANY(touched) AND NOT p.granted)
  THEN
    -- Free places go to the first in their tenant's line, each with a job.
    WITH tenants AS (
      SELECT t.id, (SELECT count(*) FROM run_places p WHERE p.tenant_id = t.id AND p.granted) AS taken
        FROM (SELECT DISTINCT unnest(touched) AS id) AS t
    ), first AS (
      SELECT w.run_id, tenants.taken + w.number AS rank
        FROM tenants CROSS JOIN LATERAL (
          SELECT p.run_id, row_number() OVER (ORDER BY p.priority DESC, p.position) AS number
            FROM run_places p WHERE p.tenant_id = tenants.id AND NOT p.granted
           ORDER BY p.priority DESC, p.position LIMIT greatest(0, places - tenants.taken)
        ) AS w
    ), given AS (
      UPDATE run_places p SET granted = true FROM first WHERE p.run_id = first.run_id
      RETURNING p.run_id, p.tenant_id, p.position,
                greatest(-1000000, least(1000000, p.priority)) * {ranks} - least(first.rank, {ranks}) AS priority
    )
    SELECT to_jsonb(procrastinate_defer_jobs_v1(array_agg(
             ROW('{queue}', '{drive}', g.priority::int, NULL, NULL,
                 jsonb_build_object('run_id', g.run_id, 'tenant_id', g.tenant_id),
                 NULL)::procrastinate_job_to_defer_v1
             ORDER BY g.priority DESC, g.position)))
      INTO answer FROM given g HAVING count(*) > 0;
  END IF;
  UPDATE journal_writers w SET answers = kept::text WHERE w.id = writer;

  IF jsonb_array_length(told) > 0 THEN
    PERFORM pg_advisory_xact_lock({events_lock});
    tenant := NULL;
    FOR event IN
      SELECT e.value FROM jsonb_array_elements(told) WITH ORDINALITY AS e(value, place)
       ORDER BY e.value ->> 'tenant_id', e.place
    LOOP
      IF tenant IS DISTINCT FROM event ->> 'tenant_id' THEN
        tenant := event ->> 'tenant_id';
        SELECT e.seq, e.hash INTO seq, last FROM events e
         WHERE e.tenant_id = tenant ORDER BY e.seq DESC LIMIT 1;
        IF NOT FOUND THEN
          seq := 0;
          last := repeat('0', 64);
        END IF;
      END IF;
      seq := seq + 1;
      last := encode(sha256(convert_to(concat(
        last, chr(31), tenant, chr(31), seq, chr(31), event ->> 'type', chr(31), event ->> 'entity', chr(31),
        event ->> 'run_id', chr(31), event ->> 'at', chr(31), event ->> 'actor', chr(31), event ->> 'payload'
      ), 'UTF8')), 'hex');
      INSERT INTO events (tenant_id, seq, type, entity, run_id, at, actor, payload, hash)
      VALUES (tenant, seq, event ->> 'type', event ->> 'entity', event ->> 'run_id', event ->> 'at',
              event ->> 'actor', event ->> 'payload', last);
    END LOOP;
    NOTIFY {events_channel};
  END IF;
  RETURN answers;
END
$apply$
