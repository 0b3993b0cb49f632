DROP TRIGGER setting_inserted;
DROP TRIGGER setting_updated;
DROP TRIGGER setting_renamed;
DROP TRIGGER setting_deleted;
