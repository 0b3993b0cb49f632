//! Edits in plain SQL, by a connection that the service knows nothing of.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, Statement};
use setpoint_ops::database::Location;
use tokio::time::{Instant, sleep_until};

use super::measure::Kind;
use super::users::Shared;

/// How often a setting is changed.
const EVERY: Duration = Duration::from_millis(500);

/// The database of the service.
#[derive(Debug)]
pub(crate) struct Sql {
    connection: DatabaseConnection,
    namespace: String,
}

impl Sql {
    /// # Errors
    ///
    /// If it cannot be opened.
    pub async fn open(location: &Location, namespace: String) -> Result<Self, DbErr> {
        let url = match location {
            Location::Sqlite(path) => format!("sqlite:{}?mode=rw", path.display()),
            Location::Postgres(url) => url.clone(),
            Location::Memory => "sqlite::memory:".to_owned(),
        };
        let mut options = ConnectOptions::new(url);
        options.sqlx_logging(false).max_connections(1).connect_timeout(Duration::from_secs(5));
        Ok(Self { connection: Database::connect(options).await?, namespace })
    }

    /// The history that is in it.
    ///
    /// # Errors
    ///
    /// If it is no database of Setpoint's.
    pub async fn epoch(&self) -> Result<String, DbErr> {
        let backend = self.connection.get_database_backend();
        let ask = Statement::from_string(backend, "SELECT epoch FROM head");
        let row = self.connection.query_one_raw(ask).await?;
        row.ok_or_else(|| DbErr::RecordNotFound("head".to_owned()))?.try_get_by_index(0)
    }

    async fn update(&self, key: &str, number: usize) -> Result<(), DbErr> {
        let update = Statement::from_sql_and_values(
            self.connection.get_database_backend(),
            "UPDATE setting SET value = $1 WHERE namespace = $2 AND layer = 'base' AND key = $3",
            [number.to_string().into(), self.namespace.as_str().into(), key.into()],
        );
        match self.connection.execute_raw(update).await?.rows_affected() {
            1 => Ok(()),
            _ => Err(DbErr::RecordNotUpdated),
        }
    }
}

/// Changes the key of the last slot until the test is over.
pub(crate) async fn edit(shared: Arc<Shared>, sql: Sql, start: Instant) {
    let slot = shared.load.users;
    let key = shared.own.key(slot);
    let mut at = start;
    while at < start + shared.load.duration {
        sleep_until(at).await;
        let edited = shared.written(slot, async |number| sql.update(&key, number).await).await;
        if let Err(error) = edited {
            shared.state().0.of(Kind::HotReload).failed(error.to_string());
        }
        at += EVERY;
    }
    // Nothing depends on how it ends.
    drop(sql.connection.close().await);
}
