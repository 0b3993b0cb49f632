-- Every writer takes the head first, so a raw edit and an apply queue instead of deadlocking.
CREATE FUNCTION setpoint_lock_head() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'setpoint: TRUNCATE leaves no history; use DELETE FROM setting';
    END IF;
    PERFORM 1 FROM head FOR UPDATE;
    RETURN NULL;
END $$;

-- Turns the rows of one statement into a revision.
CREATE FUNCTION setpoint_record() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    next bigint;
    moment text := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
    wrong text;
BEGIN
    SELECT head.revision + 1 INTO next FROM head WHERE applying IS NULL;
    IF next IS NULL THEN
        RETURN NULL;
    END IF;

    INSERT INTO revision (id, at, actor, channel, kind) VALUES (next, moment, 'sql', 'sql', 'edit');
    IF TG_OP = 'INSERT' THEN
        INSERT INTO change (revision, namespace, layer, key, action, after, after_format)
        SELECT next, namespace, layer, key, 'add', value, format FROM new_rows;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO change (revision, namespace, layer, key, action, before, before_format)
        SELECT next, namespace, layer, key, 'delete', value, format FROM old_rows;
    ELSE
        INSERT INTO change (revision, namespace, layer, key, action, before, before_format, after, after_format)
        SELECT next, coalesce(n.namespace, o.namespace), coalesce(n.layer, o.layer), coalesce(n.key, o.key),
            CASE WHEN o.key IS NULL THEN 'add' WHEN n.key IS NULL THEN 'delete' ELSE 'update' END,
            o.value, o.format, n.value, n.format
        FROM new_rows n
        FULL JOIN old_rows o ON n.namespace = o.namespace AND n.layer = o.layer AND n.key = o.key
        WHERE n.value IS DISTINCT FROM o.value OR n.format IS DISTINCT FROM o.format;
    END IF;
    IF NOT FOUND THEN
        DELETE FROM revision WHERE id = next;
        RETURN NULL;
    END IF;

    SELECT key INTO wrong FROM change WHERE change.revision = next AND action = 'add'
        AND (namespace = '' OR namespace ~ '[^A-Za-z0-9_.-]' OR layer = '' OR layer ~ '[^A-Za-z0-9_.:-]'
            OR key = '' OR (strpos(key, '"') = 0
            AND (key ~ '[^A-Za-z0-9_.-]' OR strpos('.' || key || '.', '..') > 0)))
        LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'setpoint: "%" has no namespace, layer or key as they are written; a key is dotted segments of A-Z a-z 0-9 _ -, any other in double quotes', wrong;
    END IF;
    SELECT c.key INTO wrong FROM change c
        JOIN setting s ON s.namespace = c.namespace AND s.layer = c.layer
            AND ((s.key > c.key || '.' AND s.key < c.key || '/')
                OR left(c.key, length(s.key) + 1) = s.key || '.')
        WHERE c.revision = next AND c.action = 'add' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'setpoint: a setting above or below "%" exists; a layer is a tree', wrong;
    END IF;

    UPDATE head SET revision = next, applying = next;
    UPDATE setting s SET revision = next, updated_at = moment, updated_by = 'sql',
        created_at = CASE WHEN c.action = 'add' THEN moment ELSE s.created_at END
        FROM change c
        WHERE c.revision = next AND c.namespace = s.namespace AND c.layer = s.layer AND c.key = s.key;
    UPDATE head SET applying = NULL;
    RETURN NULL;
END $$;

CREATE TRIGGER setting_lock BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON setting
    FOR EACH STATEMENT EXECUTE FUNCTION setpoint_lock_head();
CREATE TRIGGER setting_inserted AFTER INSERT ON setting
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION setpoint_record();
CREATE TRIGGER setting_updated AFTER UPDATE ON setting
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION setpoint_record();
CREATE TRIGGER setting_deleted AFTER DELETE ON setting
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION setpoint_record();
