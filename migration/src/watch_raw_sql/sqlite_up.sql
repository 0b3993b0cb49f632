-- `before` of an insert comes from the log: INSERT OR REPLACE tells no trigger what it replaced.
CREATE TRIGGER setting_inserted AFTER INSERT ON setting
WHEN (SELECT applying FROM head) IS NULL
BEGIN
    SELECT raise(ABORT, 'setpoint: this is no namespace, layer or key; write a key as dotted segments of A-Z a-z 0-9 _ -, any other in double quotes')
    WHERE NEW.namespace GLOB '*[^A-Za-z0-9_.-]*' OR NEW.namespace = ''
        OR NEW.layer GLOB '*[^A-Za-z0-9_.:-]*' OR NEW.layer = ''
        OR NEW.key = '' OR (instr(NEW.key, '"') = 0
        AND (NEW.key GLOB '*[^A-Za-z0-9_.-]*' OR '.' || NEW.key || '.' GLOB '*..*'));
    SELECT raise(ABORT, 'setpoint: a setting above or below this key exists; a layer is a tree')
    WHERE EXISTS (SELECT 1 FROM setting WHERE namespace = NEW.namespace AND layer = NEW.layer
            AND key > NEW.key || '.' AND key < NEW.key || '/')
        OR EXISTS (SELECT 1 FROM setting WHERE namespace = NEW.namespace AND layer = NEW.layer
            AND substr(NEW.key, 1, length(key) + 1) = key || '.');
    INSERT INTO revision (id, at, actor, channel, kind)
    SELECT revision + 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 'sql', 'sql', 'edit' FROM head;
    INSERT INTO change (revision, namespace, layer, key, action, before, before_format, after, after_format)
    SELECT head.revision + 1, NEW.namespace, NEW.layer, NEW.key,
        CASE WHEN past.after IS NULL THEN 'add' ELSE 'update' END,
        past.after, past.after_format, NEW.value, NEW.format
    FROM head LEFT JOIN (SELECT after, after_format FROM change
        WHERE namespace = NEW.namespace AND layer = NEW.layer AND key = NEW.key
        ORDER BY revision DESC LIMIT 1) past ON true;
    UPDATE head SET revision = revision + 1;
    UPDATE setting SET revision = (SELECT revision FROM head), updated_by = 'sql',
        created_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
        updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE namespace = NEW.namespace AND layer = NEW.layer AND key = NEW.key;
END;

CREATE TRIGGER setting_updated AFTER UPDATE OF value, format ON setting
WHEN (SELECT applying FROM head) IS NULL
    AND (NEW.namespace, NEW.layer, NEW.key) = (OLD.namespace, OLD.layer, OLD.key)
    AND (NEW.value IS NOT OLD.value OR NEW.format IS NOT OLD.format)
BEGIN
    INSERT INTO revision (id, at, actor, channel, kind)
    SELECT revision + 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 'sql', 'sql', 'edit' FROM head;
    INSERT INTO change (revision, namespace, layer, key, action, before, before_format, after, after_format)
    SELECT revision + 1, NEW.namespace, NEW.layer, NEW.key, 'update',
        OLD.value, OLD.format, NEW.value, NEW.format FROM head;
    UPDATE head SET revision = revision + 1;
    UPDATE setting SET revision = (SELECT revision FROM head), updated_by = 'sql',
        updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE namespace = NEW.namespace AND layer = NEW.layer AND key = NEW.key;
END;

CREATE TRIGGER setting_renamed AFTER UPDATE OF namespace, layer, key ON setting
WHEN (SELECT applying FROM head) IS NULL
    AND (NEW.namespace, NEW.layer, NEW.key) <> (OLD.namespace, OLD.layer, OLD.key)
BEGIN
    SELECT raise(ABORT, 'setpoint: this is no namespace, layer or key; write a key as dotted segments of A-Z a-z 0-9 _ -, any other in double quotes')
    WHERE NEW.namespace GLOB '*[^A-Za-z0-9_.-]*' OR NEW.namespace = ''
        OR NEW.layer GLOB '*[^A-Za-z0-9_.:-]*' OR NEW.layer = ''
        OR NEW.key = '' OR (instr(NEW.key, '"') = 0
        AND (NEW.key GLOB '*[^A-Za-z0-9_.-]*' OR '.' || NEW.key || '.' GLOB '*..*'));
    SELECT raise(ABORT, 'setpoint: a setting above or below this key exists; a layer is a tree')
    WHERE EXISTS (SELECT 1 FROM setting WHERE namespace = NEW.namespace AND layer = NEW.layer
            AND key > NEW.key || '.' AND key < NEW.key || '/')
        OR EXISTS (SELECT 1 FROM setting WHERE namespace = NEW.namespace AND layer = NEW.layer
            AND substr(NEW.key, 1, length(key) + 1) = key || '.');
    INSERT INTO revision (id, at, actor, channel, kind)
    SELECT revision + 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 'sql', 'sql', 'edit' FROM head;
    INSERT INTO change (revision, namespace, layer, key, action, before, before_format, after, after_format)
    SELECT revision + 1, OLD.namespace, OLD.layer, OLD.key, 'delete',
        OLD.value, OLD.format, NULL, NULL FROM head
    UNION ALL
    SELECT revision + 1, NEW.namespace, NEW.layer, NEW.key, 'add',
        NULL, NULL, NEW.value, NEW.format FROM head;
    UPDATE head SET revision = revision + 1;
    UPDATE setting SET revision = (SELECT revision FROM head), updated_by = 'sql',
        updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE namespace = NEW.namespace AND layer = NEW.layer AND key = NEW.key;
END;

CREATE TRIGGER setting_deleted AFTER DELETE ON setting
WHEN (SELECT applying FROM head) IS NULL
BEGIN
    INSERT INTO revision (id, at, actor, channel, kind)
    SELECT revision + 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 'sql', 'sql', 'edit' FROM head;
    INSERT INTO change (revision, namespace, layer, key, action, before, before_format, after, after_format)
    SELECT revision + 1, OLD.namespace, OLD.layer, OLD.key, 'delete',
        OLD.value, OLD.format, NULL, NULL FROM head;
    UPDATE head SET revision = revision + 1;
END;
