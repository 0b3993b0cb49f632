//! The settings that the test makes for itself, and takes away again.

use serde::Deserialize;
use serde_json::{Value, json};
use setpoint_client::types::Setting;
use setpoint_client::{Result, Service, encoded};

/// What the keys of all runs begin with.
pub(crate) const OWN: &str = "load_test.";

/// The settings of one run: two runs at once do not meet.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    service: Service,
    namespace: Option<String>,
    /// `load_test.r` and some letters.
    prefix: String,
}

/// A page of `GET /api/settings`.
#[derive(Deserialize)]
pub(crate) struct Page {
    pub settings: Vec<Setting>,
}

impl Own {
    pub fn new(service: Service, namespace: Option<String>, run: u32) -> Self {
        Self { service, namespace, prefix: format!("{OWN}r{run:08x}") }
    }

    /// The key that the writer of `slot` writes.
    pub fn key(&self, slot: usize) -> String {
        format!("{}.slot_{slot}", self.prefix)
    }

    /// What `key` is the key of.
    pub fn slot(&self, key: &str) -> Option<usize> {
        key.strip_prefix(&self.prefix)?.strip_prefix(".slot_")?.parse().ok()
    }

    /// The pattern of all of them.
    pub fn pattern(&self) -> String {
        format!("{}.**", self.prefix)
    }

    pub async fn make(&self, slots: usize) -> Result<()> {
        for slot in 0..slots {
            self.write(&self.service, slot, 0).await?;
        }
        Ok(())
    }

    pub async fn write(&self, service: &Service, slot: usize, number: usize) -> Result<Value> {
        service.put(&self.path_of(&self.key(slot)), &json!({ "value": number })).await
    }

    /// Deletes them all, also those whose writing was broken off a moment ago.
    pub async fn remove(&self) -> Result<()> {
        let prefix = encoded(&self.prefix);
        let list = self.with_namespace(&format!("/api/settings?prefix={prefix}&limit=500"), '&');
        loop {
            let page: Page = self.service.get(&list).await?;
            if page.settings.is_empty() {
                return Ok(());
            }
            for setting in page.settings {
                let _: Value = self.service.delete(&self.path_of(&setting.key)).await?;
            }
        }
    }

    /// Where `key` is, of them or of anybody.
    pub fn path_of(&self, key: &str) -> String {
        self.with_namespace(&format!("/api/settings/{}", encoded(key)), '?')
    }

    pub fn search_path(&self, words: &str) -> String {
        let path = format!("/api/settings/search?q={}&limit=20", encoded(words));
        self.with_namespace(&path, '&')
    }

    /// The settings that are there, as many as make reading interesting.
    pub async fn others(&self) -> Result<Vec<Setting>> {
        let path = self.with_namespace("/api/settings?limit=1000", '&');
        self.service.get(&path).await.map(|page: Page| page.settings)
    }

    fn with_namespace(&self, path: &str, separator: char) -> String {
        match &self.namespace {
            Some(namespace) => format!("{path}{separator}ns={}", encoded(namespace)),
            None => path.to_owned(),
        }
    }
}

impl std::fmt::Display for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.pattern())
    }
}
