//! What a database and the way to it say, without the names of the libraries that pass it on.

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// SQLite without room for the file that readers and writers share.
pub(super) const SQLITE_IOERR_SHMSIZE: &str = "4874";

/// What the driver said, if it is of the driver.
fn of_the_driver(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// What went wrong, in words of the database or of the system.
pub(super) fn words_of(error: &DbErr) -> String {
    const NONE_FREE: &str = "no connection became free in time";
    match (of_the_driver(error), error) {
        (Some(sqlx::Error::Database(error)), _) => error.message().to_owned(),
        (Some(sqlx::Error::Io(error)), _) => error.to_string(),
        (Some(sqlx::Error::PoolTimedOut), _) | (None, DbErr::ConnectionAcquire(_)) => {
            NONE_FREE.to_owned()
        }
        (Some(error), _) => error.to_string(),
        (None, DbErr::Custom(words)) => words.clone(),
        (None, error) => error.to_string(),
    }
}

/// SQLite's primary result code, see <https://sqlite.org/rescode.html>, or PostgreSQL's
/// SQLSTATE, see <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(super) fn code_of(error: &DbErr) -> Option<String> {
    let code = of_the_driver(error)?.as_database_error()?.code()?.into_owned();
    match code.parse::<u32>() {
        Ok(number) if code.len() != 5 && code != SQLITE_IOERR_SHMSIZE => {
            Some((number & 0xff).to_string())
        }
        _ => Some(code),
    }
}

/// Whether it is the way to the database that failed, not what was asked of it.
pub(super) fn is_of_the_connection(error: &DbErr) -> bool {
    match of_the_driver(error) {
        Some(
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_),
        ) => true,
        // Classes 08 (connection), 53 (resources) and 57 (the operator intervenes), and the
        // timeout of a transaction that nobody goes on with, see
        // <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
        Some(sqlx::Error::Database(error)) => error.code().is_some_and(|it| {
            ["08", "53", "57", "25P03"].iter().any(|class| it.starts_with(class))
        }),
        Some(_) => false,
        None => matches!(error, DbErr::Conn(_) | DbErr::ConnectionAcquire(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_says_comes_without_the_names_of_libraries() {
        let of = |error: sqlx::Error| DbErr::Query(RuntimeErr::SqlxError(error.into()));
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);

        let told =
            [of(sqlx::Error::PoolTimedOut), of(reset.into()), DbErr::Custom("no".to_owned())]
                .map(|it| words_of(&it));

        assert_eq!(told, ["no connection became free in time", "connection reset", "no"]);
    }
}
