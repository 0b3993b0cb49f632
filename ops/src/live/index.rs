//! What of a namespace is searched, kept beside the snapshot and brought along with it: what a
//! setting has in letters is computed once.

use std::collections::HashSet;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use setpoint_importers::Key;

use super::policy::Space as Declared;
use super::snapshot::{Entry, Snapshot, View};
use crate::schema::Part;
use crate::search::{Fields, Hit, Letters, Query, rank};

/// The effective settings of one namespace, in order of key.
#[derive(Default)]
pub struct Index {
    pub epoch: Arc<str>,
    pub revision: i64,
    generation: u64,
    rows: Vec<Row>,
}

/// A setting that can be found.
pub struct Row {
    pub entry: Arc<Entry>,
    /// What the schema says of it.
    pub part: Option<Arc<Part>>,
    /// Its value, where that is not a text which the entry has already.
    value: Option<Box<str>>,
    letters: Letters,
}

/// Up to how many changes are made one by one.
const FEW: usize = 1_000;

/// To look at fewer takes less time than to start somebody who does.
const WORTH_A_THREAD: usize = 10_000;

impl Index {
    /// Whether it is as `snapshot`, or newer.
    pub fn is_at(&self, snapshot: &Snapshot) -> bool {
        self.epoch == snapshot.epoch
            && self.generation == snapshot.generation
            && self.revision >= snapshot.revision
    }

    /// Takes what is live in `namespace` by now.
    pub fn follow(&mut self, snapshot: &Snapshot, namespace: &str) {
        if self.is_at(snapshot) {
            return;
        }
        let declared = snapshot.declared(namespace);
        let is_same = self.epoch == snapshot.epoch && self.generation == snapshot.generation;
        let news = snapshot.since(self.revision).filter(|_| is_same);
        let changed = news.map(|news| {
            let changed = news.flat_map(|it| &it.effective);
            changed.filter(|it| *it.namespace == *namespace).collect::<Vec<_>>()
        });
        match changed.filter(|it| it.len() <= FEW) {
            Some(changed) => {
                for one in changed {
                    self.put(&one.key, one.entry.clone(), &declared);
                }
            }
            None => {
                let live = snapshot.list(namespace, View::Effective, None, None);
                self.rows = live.map(|it| Row::new(it.clone(), &declared)).collect();
            }
        }
        self.epoch = snapshot.epoch.clone();
        self.generation = snapshot.generation;
        self.revision = snapshot.revision;
    }

    fn put(&mut self, key: &Key, entry: Option<Arc<Entry>>, declared: &Declared) {
        let found = self.rows.binary_search_by(|it| it.entry.setting.key.cmp(key));
        match (found, entry) {
            (Ok(at), Some(entry)) => self.rows[at] = Row::new(entry, declared),
            (Ok(at), None) => drop(self.rows.remove(at)),
            (Err(at), Some(entry)) => self.rows.insert(at, Row::new(entry, declared)),
            (Err(_), None) => {}
        }
    }

    /// The best `limit` settings that `query` is found in, the best first.
    pub fn search(&self, query: &Query, limit: usize) -> Vec<Hit<&Row>> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let rows = self.rows.len().div_ceil(cores).max(WORTH_A_THREAD);
        let parts = self.rows.chunks(rows).map(|part| part.iter().map(|it| (it, it.letters)));
        rank(query, parts, |row| row.fields(), limit)
    }
}

impl Snapshot {
    /// The keys in what `view` shows of `namespace` that `query` is found in.
    pub fn found(&self, namespace: &str, view: View<'_>, query: &Query) -> HashSet<Key> {
        let declared = self.declared(namespace);
        let rows = self.list(namespace, view, None, None).map(|it| Row::new(it.clone(), &declared));
        let rows: Vec<Row> = rows.collect();
        let hits =
            rank(query, [rows.iter().map(|it| (it, it.letters))], |it| it.fields(), rows.len());
        hits.into_iter().map(|it| it.item.entry.setting.key.clone()).collect()
    }
}

impl Row {
    fn new(entry: Arc<Entry>, declared: &Declared) -> Self {
        let setting = &entry.setting;
        let is_secret = declared.secrets.is_secret(&setting.key, &setting.typed());
        let value = match setting.value.is_string() {
            _ if is_secret => Some(Box::default()),
            true => None,
            false => Some(setting.value.to_string().into_boxed_str()),
        };
        let part = declared.schema.as_ref().and_then(|it| it.part(&setting.key));
        let letters = Letters::of(&Fields::default());
        let mut row = Self { entry, part, value, letters };
        row.letters = Letters::of(&row.fields());
        row
    }

    fn fields(&self) -> Fields<'_> {
        let setting = &self.entry.setting;
        let part = self.part.as_deref();
        Fields {
            key: setting.key.as_str(),
            value: self.value.as_deref().or(setting.value.as_str()).unwrap_or_default(),
            label: part.and_then(|it| it.label.as_deref()),
            description: part.and_then(|it| it.description.as_deref()),
        }
    }
}
