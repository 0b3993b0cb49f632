//! Whether the key may do in a bucket what backups need. Only doing it tells.

use object_store::Error::{AlreadyExists, NotFound, Precondition};
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutMode, PutPayload, path};

use super::{Bucket, QUICK, within};
use crate::{Error, Result};

/// What the object is called that is put there for a moment. No archive is: their names begin with
/// a letter or a digit. It is the same each time, so that never more than one can be left behind.
const NAME: &str = "-setpoint-doctor";

/// What could not be done, and why.
pub(crate) struct Forbidden {
    pub what: String,
    pub error: Error,
}

impl Bucket {
    /// Puts a tiny object there as an archive is put, reads it and removes it.
    pub(in crate::backup) async fn probe(&self) -> Result<(), Forbidden> {
        let to = path::Path::from(format!("{}{NAME}", self.declared.folder()));
        let forbidden = |what: &str, error| Forbidden { what: what.to_owned(), error };
        let clients = self.clients().map_err(|it| forbidden("nothing can be done there", it))?;
        let store = &clients.plain;

        let bytes = PutPayload::from_static(b"setpoint doctor");
        let tried = async {
            match within(QUICK, store.put_opts(&to, bytes, PutMode::Create.into())).await {
                // Somebody else is at it, or was killed over it.
                Ok(_) | Err(AlreadyExists { .. } | Precondition { .. }) => {}
                Err(error) => {
                    return Err(forbidden("nothing can be put there", self.failed(&error)));
                }
            }
            match within(QUICK, async { store.get(&to).await?.bytes().await }).await {
                // Somebody else has removed it meanwhile.
                Ok(_) | Err(NotFound { .. }) => Ok(()),
                Err(error) => {
                    Err(forbidden("what is put there cannot be read", self.failed(&error)))
                }
            }
        };
        let tried = tried.await;
        // Whatever became of it: a request that was not answered may have put it there.
        let removed = within(QUICK, store.delete(&to)).await;
        tried?;
        match removed {
            Ok(()) | Err(NotFound { .. }) => Ok(()),
            Err(error) => {
                let what = format!("what is put there cannot be removed, and `{to}` stays");
                Err(forbidden(&what, self.failed(&error)))
            }
        }
    }
}
