DROP TRIGGER setting_lock ON setting;
DROP TRIGGER setting_inserted ON setting;
DROP TRIGGER setting_updated ON setting;
DROP TRIGGER setting_deleted ON setting;
DROP FUNCTION setpoint_record();
DROP FUNCTION setpoint_lock_head();
