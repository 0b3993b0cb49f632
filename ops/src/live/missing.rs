//! What may have been meant by a key that is not there.

use setpoint_importers::Key;

use super::snapshot::{Snapshot, View};

/// The best guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is a map of so many settings.
    Map(usize),
    /// Another layer of the namespace has it.
    InLayer(String),
    /// Another namespace has it.
    InNamespace(String),
    /// A key that ends alike.
    Close(Key),
    Nothing,
}

impl Snapshot {
    /// Guesses what was meant by `key`, which is not in what `view` shows of `namespace`. Only
    /// namespaces that are `visible` are named. It looks at every key: nothing for a writer.
    pub fn missing(
        &self,
        namespace: &str,
        view: View<'_>,
        key: &Key,
        visible: impl Fn(&str) -> bool,
    ) -> Missing {
        match self.list(namespace, view, Some(key), None).count() {
            0 => {}
            below => return Missing::Map(below),
        }
        let layers = self.space(namespace).into_iter().flat_map(|it| it.layer_names());
        let mut layers = layers.filter(|it| !it.starts_with("user:"));
        let has = |layer: &&str| self.get(namespace, View::Layer(layer), key.as_str()).is_some();
        if let Some(layer) = layers.find(has) {
            return Missing::InLayer(layer.to_owned());
        }
        let mut others = self.namespaces().filter(|it| *it != namespace && visible(it));
        if let Some(other) = others.find(|it| self.get(it, View::Effective, key.as_str()).is_some())
        {
            return Missing::InNamespace(other.to_owned());
        }
        let last = key.segments().last().unwrap_or_default();
        let ends = |text: &str| {
            let start = text.len().checked_sub(last.len());
            let end = start.and_then(|it| text.as_bytes().get(it..));
            end.is_some_and(|it| it.eq_ignore_ascii_case(last.as_bytes()))
        };
        let mut all = self.list(namespace, View::Effective, None, None);
        let close = all.find(|it| ends(it.setting.key.as_str()));
        close.map_or(Missing::Nothing, |it| Missing::Close(it.setting.key.clone()))
    }
}
