//! Which archives there are in a bucket, whatever else is.

use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore as _};
use object_store::path;

use super::{Bucket, QUICK, within};
use crate::backup::BackupError;
use crate::backup::storage::name_in;
use crate::{Error, Result};

/// How many objects are listed with one request. Stores give no more.
const PAGE: usize = 1000;

/// Where a list goes on.
#[derive(Clone, Default)]
struct From {
    /// What the store gave with the page before.
    token: Option<String>,
    /// The name that what follows comes after.
    after: Option<String>,
}

impl Bucket {
    /// The names of all archives, in no order.
    pub(in crate::backup) async fn names(&self) -> Result<Vec<String>> {
        let folder = self.declared.folder();
        let mut names = Vec::new();
        let (mut from, mut most) = (From::default(), PAGE);
        loop {
            let page = match self.page(&folder, &from, most).await {
                // The library fails over a whole page with a name that it does not like: the page
                // is made smaller until that name is alone in it, and can be passed over.
                Err(Error::Backup(BackupError::BadName { .. })) if most > 1 => {
                    most = most.div_ceil(2);
                    continue;
                }
                Err(Error::Backup(BackupError::BadName { name })) => {
                    from = From { token: None, after: Some(self.past(&name, &from)?) };
                    most = PAGE;
                    continue;
                }
                page => page?,
            };
            let file =
                |it: &path::Path| it.as_ref().strip_prefix(folder.as_str()).map(str::to_owned);
            let files = page.result.objects.iter().filter_map(|it| file(&it.location));
            names.extend(files.filter_map(|it| name_in(&it).map(str::to_owned)));
            match page.page_token {
                Some(token) => from = From { token: Some(token), after: None },
                None => return Ok(names),
            }
        }
    }

    /// A page of the objects whose names begin with `prefix`, and of no folders below.
    ///
    /// # Errors
    ///
    /// [`BackupError::BadName`] with the name that the library does not like.
    async fn page(&self, prefix: &str, from: &From, most: usize) -> Result<PaginatedListResult> {
        let options = PaginatedListOptions {
            offset: from.after.clone(),
            delimiter: Some("/".into()),
            max_keys: Some(most),
            page_token: from.token.clone(),
            ..PaginatedListOptions::default()
        };
        let prefix = Some(prefix).filter(|it| !it.is_empty());
        let listed = within(QUICK, self.clients()?.plain.list_paginated(prefix, options)).await;
        listed.map_err(|error| match error {
            object_store::Error::InvalidPath {
                source: path::Error::EmptySegment { path } | path::Error::BadSegment { path, .. },
            } => BackupError::BadName { name: path }.into(),
            error => self.failed(&error),
        })
    }

    /// What comes after `name`, of an object or of a folder with all that is in it.
    fn past(&self, name: &str, from: &From) -> Result<String> {
        let past = match name.strip_suffix('/') {
            // It is the next character.
            Some(folder) => format!("{folder}0"),
            None => name.to_owned(),
        };
        match from.after.as_ref().is_none_or(|it| *it < past) {
            true => Ok(past),
            // It would go on for ever.
            false => {
                let reason = "names that it was not asked for".to_owned();
                Err(BackupError::StoreFailed { place: self.place(), reason }.into())
            }
        }
    }

    /// Whether there is an archive of that name.
    pub(in crate::backup) async fn has(&self, name: &str) -> Result<bool> {
        let path = self.path(name);
        match self.page(path.as_ref(), &From::default(), 1).await {
            Ok(page) => Ok(page.result.objects.first().is_some_and(|it| it.location == path)),
            // What begins with it is another one.
            Err(Error::Backup(BackupError::BadName { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
