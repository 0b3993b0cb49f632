//! Everything that a database holds, as lines: what is written, hashed and compared.

use std::collections::BTreeMap;
use std::io;

use sea_orm::ConnectionTrait;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::{JoinError, spawn_blocking};

use super::lines::Lines;
use super::manifest::{CONTENT, Member};
use super::tables::Shape;
use super::write;
use crate::Result;
use crate::background::Pace;

/// How many pieces wait between the database and who takes them.
const WAITING: usize = 2;

/// How many rows there are of each table.
pub(super) type Counts = BTreeMap<String, u64>;

/// Gives all lines of `db` to `take`, which runs beside, piece by piece.
///
/// # Errors
///
/// [`crate::Error::Database`]; what `take` fails with is in the other result.
pub(super) async fn given<T: Send + 'static>(
    db: &impl ConnectionTrait,
    take: impl FnOnce(Receiver<String>) -> io::Result<T> + Send + 'static,
) -> Result<(Counts, io::Result<T>)> {
    let (sender, pieces) = mpsc::channel(WAITING);
    let taking = spawn_blocking(move || take(pieces));
    let (sent, taken) = tokio::join!(send(db, sender), taking);
    Ok((sent?, taken.unwrap_or_else(|error| Err(panicked(error)))))
}

/// What the lines of `db` are, and how many there are of each table.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub(super) async fn digest(db: &impl ConnectionTrait) -> Result<(Counts, Member)> {
    let (counts, member) = given(db, |pieces| write::hash_content(CONTENT, pieces)).await?;
    Ok((counts, member.expect("nothing is written, so nothing can fail")))
}

async fn send(db: &impl ConnectionTrait, sender: Sender<String>) -> Result<Counts> {
    let mut counts = Counts::new();
    let mut pace = Pace::new();
    for shape in Shape::of_all(db).await? {
        let mut rows = 0;
        // Whoever takes no more has failed, and says why.
        if sender.send(shape.heading()).await.is_err() {
            break;
        }
        let mut lines = Lines::of(db, &shape);
        while let Some(piece) = lines.next().await? {
            rows += piece.rows;
            if sender.send(piece.text).await.is_err() {
                break;
            }
            pace.breathe().await;
        }
        counts.insert(shape.table.name.to_owned(), rows);
    }
    Ok(counts)
}

/// A thread that ended by itself tells why in its panic.
pub(super) fn panicked(error: JoinError) -> io::Error {
    io::Error::other(error)
}
