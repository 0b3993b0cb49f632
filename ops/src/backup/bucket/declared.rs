//! Which bucket, as it is declared. Its credentials are not: they come from the environment alone.

use reqwest::Url;
use serde::{Deserialize, Serialize};

/// `[backups.s3]`: a bucket of Amazon S3, or of a store that speaks as it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    pub bucket: String,
    /// What the names of objects begin with, such as `setpoint/live`; a slash follows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(default = "region")]
    pub region: String,
    /// Where the store is, such as `https://s3.example`; that of Amazon in the region without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Whether an endpoint on another machine may be `http://`: everything sent can be read then.
    #[serde(default)]
    pub allow_http: bool,
    /// Whether the bucket stands in the path of URLs and not in the name of the host. It does with
    /// an endpoint, and for names with a dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
}

fn region() -> String {
    "us-east-1".to_owned()
}

impl S3 {
    /// # Errors
    ///
    /// What is wrong with it, for people. It names no value: an URL may hold a password.
    pub fn check(&self) -> Result<(), &'static str> {
        let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b'-');
        let is_name = |text: &str| !text.is_empty() && text.bytes().all(plain);
        if !is_name(&self.bucket) || self.bucket.starts_with('.') {
            return Err("has a bucket that cannot be one: use a-z 0-9 . -");
        }
        if !is_name(&self.region) {
            return Err("has a region that cannot be one: such as eu-central-1");
        }
        let is_part = |it: &str| is_name(it) && it != "." && it != "..";
        if !self.prefix().into_iter().flat_map(|it| it.split('/')).all(is_part) {
            return Err("has a prefix that cannot be one: use A-Z a-z 0-9 . _ -, and / inside");
        }
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        let url = Url::parse(endpoint).ok().filter(|it| it.has_host());
        let url = url.ok_or("has an endpoint that is no URL: such as https://s3.example")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "has an endpoint with a user or a password: they go into the environment, \
                        as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            );
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("has an endpoint with more than a scheme, a host and a port");
        }
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.allow_http || is_here(&url) => Ok(()),
            "http" => Err("has an endpoint that others on the way can read: use https://, or say \
                           allow_http = true"),
            _ => Err("has an endpoint that is neither https:// nor http://"),
        }
    }

    /// An empty one is none.
    fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref().filter(|it| !it.is_empty())
    }

    /// Which it is, for people.
    pub(super) fn place(&self) -> String {
        let path = self.prefix().map(|it| format!("/{it}")).unwrap_or_default();
        match &self.endpoint {
            Some(endpoint) => {
                format!("s3://{}{path} at {}", self.bucket, endpoint.trim_end_matches('/'))
            }
            None => format!("s3://{}{path} in {}", self.bucket, self.region),
        }
    }

    /// What the names of objects begin with.
    pub(super) fn folder(&self) -> String {
        self.prefix().map(|it| format!("{it}/")).unwrap_or_default()
    }

    /// Where the store is and whether the bucket stands in the name of the host.
    pub(super) fn endpoint(&self) -> (Option<String>, bool) {
        let is_virtual = match self.path_style {
            Some(path_style) => !path_style,
            None => self.endpoint.is_none() && !self.bucket.contains('.'),
        };
        let endpoint = self.endpoint.as_ref().map(|it| match it.split_once("://") {
            // Whoever has the bucket in the host says so, and not where.
            Some((scheme, host)) if is_virtual => format!("{scheme}://{}.{host}", self.bucket),
            _ => it.clone(),
        });
        (endpoint.map(|it| it.trim_end_matches('/').to_owned()), is_virtual)
    }
}

/// Whether an URL leads to this machine.
fn is_here(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(bucket: &str, prefix: Option<&str>, endpoint: Option<&str>) -> S3 {
        let (prefix, endpoint) = (prefix.map(str::to_owned), endpoint.map(str::to_owned));
        let bucket = bucket.to_owned();
        S3 { bucket, prefix, region: region(), endpoint, allow_http: false, path_style: None }
    }

    #[test]
    fn a_bucket_is_named_and_reached_as_it_is_declared() {
        let (amazon, dotted) = (s3("backups", Some("live/eu"), None), s3("my.backups", None, None));
        let own = s3("backups", None, Some("http://127.0.0.1:9000/"));
        let bare = s3("backups", Some(""), None);
        let other = S3 { path_style: Some(false), ..s3("backups", None, Some("https://s3.test")) };

        for it in [&amazon, &dotted, &own, &other, &bare] {
            assert_eq!(it.check(), Ok(()));
        }
        assert_eq!((amazon.endpoint(), dotted.endpoint()), ((None, true), (None, false)));
        assert_eq!(own.endpoint(), (Some("http://127.0.0.1:9000".to_owned()), false));
        assert_eq!(other.endpoint(), (Some("https://backups.s3.test".to_owned()), true));
        assert_eq!(amazon.place(), "s3://backups/live/eu in us-east-1");
        assert_eq!(
            (bare.place().as_str(), bare.folder().as_str()),
            ("s3://backups in us-east-1", "")
        );
        assert_eq!(own.place(), "s3://backups at http://127.0.0.1:9000");
    }

    #[test]
    fn what_leads_elsewhere_or_can_be_read_on_the_way_is_refused() {
        let endpoints = [
            "http://s3.test",
            "https://user:secret@s3.test",
            "https://s3.test/path",
            "https://s3.test?key=1",
            "ftp://s3.test",
            "s3.test",
        ];
        let mut bad: Vec<_> = endpoints.map(|it| s3("backups", None, Some(it))).into();
        bad.extend(["/", "/a", "a/", "a//b", "a/../b", "a b"].map(|it| s3("b", Some(it), None)));
        bad.extend(["", "a/b", "..", "a b"].map(|it| s3(it, None, None)));
        bad.push(S3 { region: String::new(), ..s3("backups", None, None) });

        for it in bad {
            let refused = it.check();
            assert!(refused.is_err_and(|it| !it.contains("secret")), "{it:?}");
        }
        let said = S3 { allow_http: true, ..s3("backups", None, Some("http://s3.test")) };
        assert_eq!(said.check(), Ok(()));
    }
}
