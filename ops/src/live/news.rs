//! What a revision has changed, as it is told to whoever listens.

use std::sync::{Arc, OnceLock};

use setpoint_importers::Key;

use super::snapshot::{Entry, Refused};

/// One revision.
pub struct News {
    pub id: i64,
    pub at: String,
    pub actor: String,
    pub channel: String,
    pub kind: String,
    pub reason: Option<String>,
    /// What has changed in layers.
    pub moved: Vec<Moved>,
    /// What has changed for everybody: the values of the highest layers.
    pub effective: Vec<Effective>,
    /// The news as they are sent to those who want all of them, once somebody has made that.
    pub rendered: OnceLock<Box<str>>,
    /// What came with it that is kept out.
    pub(super) refused: Vec<Refused>,
}

impl News {
    /// About how much memory it keeps: each value also as JSON, and as it is sent.
    pub(super) fn size_bytes(&self) -> usize {
        const OF_A_CHANGE: usize = 512;
        let values = self.moved.iter().filter_map(|it| it.after.as_ref());
        let values: usize = values.map(|it| it.json.get().len()).sum();
        3 * values + OF_A_CHANGE * (1 + self.moved.len())
    }
}

/// A key of a layer that has changed.
pub struct Moved {
    pub namespace: Arc<str>,
    pub layer: Arc<str>,
    pub key: Key,
    /// Its setting in that layer now.
    pub after: Option<Arc<Entry>>,
}

/// A key whose effective value has changed.
pub struct Effective {
    pub namespace: Arc<str>,
    pub key: Key,
    pub entry: Option<Arc<Entry>>,
}
