//! The schema, as the list of steps that built it.
//!
//! A step that has been released never changes, so no step names an entity: the entity moves
//! on and the step must not. SQLite and PostgreSQL run the same steps.

use sea_orm_migration::prelude::{Alias, DynIden, IntoIden};
use sea_orm_migration::sea_orm::DbBackend;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

mod column;
mod m20261121_000001_create_settings;
mod m20261121_000002_create_history;
mod m20261121_000003_watch_raw_sql;
mod m20261121_000004_create_audit_views;
mod m20261121_000005_reconcile;
mod m20261121_000006_serve;
mod m20261121_000007_backup;
mod m20261121_000008_job;
mod m20261121_000009_confirm;
mod m20261121_000010_prune;
mod m20261121_000011_drop_plan_index;
mod m20261121_000012_doubt;

pub use column::type_of;

/// The triggers that the steps have made, all together: what is written past Setpoint becomes part
/// of the history by them.
pub fn triggers(backend: DbBackend) -> &'static [&'static str] {
    match backend {
        DbBackend::Postgres => &[
            "head_moved",
            "setting_deleted",
            "setting_inserted",
            "setting_lock",
            "setting_updated",
            "token_changed",
        ],
        _ => &["setting_deleted", "setting_inserted", "setting_renamed", "setting_updated"],
    }
}

pub struct Migrator;

impl MigratorTrait for Migrator {
    /// Not the default name: the application may keep tables of its own beside ours.
    fn migration_table_name() -> DynIden {
        Alias::new("setpoint_migration").into_iden()
    }

    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_settings::Migration),
            Box::new(m20261121_000002_create_history::Migration),
            Box::new(m20261121_000003_watch_raw_sql::Migration),
            Box::new(m20261121_000004_create_audit_views::Migration),
            Box::new(m20261121_000005_reconcile::Migration),
            Box::new(m20261121_000006_serve::Migration),
            Box::new(m20261121_000007_backup::Migration),
            Box::new(m20261121_000008_job::Migration),
            Box::new(m20261121_000009_confirm::Migration),
            Box::new(m20261121_000010_prune::Migration),
            Box::new(m20261121_000011_drop_plan_index::Migration),
            Box::new(m20261121_000012_doubt::Migration),
        ]
    }
}
