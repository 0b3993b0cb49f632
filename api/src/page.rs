//! Pages of long lists. A cursor is where the page before ended, in a form nobody needs to read.

use std::fmt::Write as _;

use poem::http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::{ApiError, ApiResult};

/// How many a page has if nobody says so.
pub(crate) const LIMIT: u32 = 100;

/// The cursor after `last`.
pub(crate) fn cursor(last: &str) -> String {
    let mut text = String::with_capacity(last.len() * 2);
    for byte in last.bytes() {
        write!(text, "{byte:02x}").expect("a string takes every character");
    }
    text
}

/// Where the page before ended.
pub(crate) fn read(cursor: &str) -> ApiResult<String> {
    let bytes = cursor.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|it| it.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Option<Vec<u8>> = bytes.collect();
    let text = bytes.and_then(|it| String::from_utf8(it).ok());
    text.filter(|it| !it.contains('\0')).ok_or_else(bad)
}

/// The cursor after what is at `place`.
pub(crate) fn cursor_at(place: &impl Serialize) -> String {
    cursor(&serde_json::to_string(place).expect("a place is texts and numbers"))
}

/// The place where the page before ended.
pub(crate) fn read_place<T: DeserializeOwned>(cursor: &str) -> ApiResult<T> {
    serde_json::from_str(&read(cursor)?).map_err(|_| bad())
}

fn bad() -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "request::cursor", "this is no cursor")
        .help("give `next` of the page before as it came")
}
