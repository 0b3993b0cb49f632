//! What a text shows of itself: passwords in URLs, private keys, references, placeholders.

use std::ops::Range;

use super::name::{self, Named};

/// Whether the text holds a secret, whatever its name is.
pub(super) fn shows_secret(text: &str) -> bool {
    // `a://b:c@d` is the shortest there is.
    const SHORTEST: usize = 9;
    if text.len() < SHORTEST {
        return false;
    }
    is_private_key(text)
        || is_authorization(text)
        || is_issued(text)
        || !passwords_in(text).is_empty()
}

/// The parts of a text that are passwords: in URLs, and in pairs such as `password=…`.
pub(crate) fn passwords_in(text: &str) -> Vec<Range<usize>> {
    let mut found = find(text, "://", in_url);
    found.extend(find(text, "=", in_pair));
    found
}

/// What `part` finds at each sign that is in no part found before.
fn find(
    text: &str,
    sign: &str,
    part: fn(&str, usize) -> Option<Range<usize>>,
) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices(sign) {
        if found.last().is_none_or(|last| at >= last.end) {
            found.extend(part(text, at));
        }
    }
    found
}

/// Whether a private key in PEM begins here, see <https://www.rfc-editor.org/rfc/rfc7468>.
pub(crate) fn is_private_key(text: &str) -> bool {
    text.match_indices("-----BEGIN ").any(|(at, begin)| {
        let label = &text[at + begin.len()..];
        label.split("-----").next().is_some_and(|label| label.contains("PRIVATE KEY"))
    })
}

/// Whether the text is a token of a kind that its issuer marks as one, so that it can be found.
fn is_issued(text: &str) -> bool {
    const MARKS: [&str; 15] = [
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "xapp-",
        "sk-ant-",
        "sk-proj-",
        "sk_live_",
        "rk_live_",
        "npm_",
        "pypi-",
        "hf_",
    ];
    let is_word =
        || text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.'));
    let is_marked =
        MARKS.iter().any(|mark| text.strip_prefix(mark).is_some_and(|rest| rest.len() >= 16));
    let is_signed = text.starts_with("eyJ") && text.matches('.').count() == 2 && text.len() > 40;
    let is_hook = text.contains("hooks.slack.com/services/");
    (is_marked || is_signed) && is_word() || is_hook || is_ours(text)
}

/// Whether the text has the form of a token of Setpoint itself. Names of procedures begin so too,
/// but have more `_` in them and are not as long.
fn is_ours(text: &str) -> bool {
    text.strip_prefix("sp_")
        .is_some_and(|rest| rest.len() == 36 && rest.bytes().all(|c| c.is_ascii_alphanumeric()))
}

/// Whether the text is all of a placeholder that a template or a shell replaces.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let Some(name) = text.strip_prefix('$') else { return false };
    match name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
        Some(name) => is_variable(name),
        // In small letters it may as well be a password that begins with `$`.
        None => is_variable(name) && !name.contains(|c: char| c.is_ascii_lowercase()),
    }
}

/// Whether an environment variable can have this name.
pub(super) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A boolean where all values are text.
pub(super) fn is_flag(text: &str) -> bool {
    ["true", "false", "yes", "no", "on", "off"].iter().any(|flag| text.eq_ignore_ascii_case(flag))
}

/// `Bearer …` and `Basic …`, as in the header of <https://www.rfc-editor.org/rfc/rfc9110>.
fn is_authorization(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(scheme, token)| {
        ["bearer", "basic"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
            && token.len() >= 8
            && !token.contains(char::is_whitespace)
            && token.contains(|c: char| !c.is_ascii_alphabetic() && !"${".contains(c))
            && !is_placeholder(token)
    })
}

/// The password of the URL whose `://` is at `at`.
///
/// Users forget to encode `/` and `#` in it, so it may go on behind what looks like a port.
fn in_url(text: &str, at: usize) -> Option<Range<usize>> {
    if !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let start = at + 3;
    let rest = up_to(&text[start..], MAX_BYTES);
    let is_around = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
    let authority = rest.find(|c| is_around(c) || matches!(c, '/' | '?' | '#'));
    let authority = &rest[..authority.unwrap_or(rest.len())];
    let close = match authority.rfind('@') {
        Some(close) => close,
        None => {
            let (_, port) = authority.split_once(':')?;
            let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
            if is_port || authority.starts_with('[') {
                return None;
            }
            rest[..rest.find(is_around).unwrap_or(rest.len())].rfind('@')?
        }
    };
    let colon = rest[..close].find(':')?;
    let password = &rest[colon + 1..close];
    is_literal(password).then_some(start + colon + 1..start + close)
}

/// The value of `name=value` whose `=` is at `at`, if the name is a secret's.
fn in_pair(text: &str, at: usize) -> Option<Range<usize>> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let name = text[..at].rfind(|c| !is_part(c)).map_or(&text[..at], |before| {
        let length = text[before..].chars().next().map_or(0, char::len_utf8);
        &text[before + length..at]
    });
    if name != "sig" && name::of(&name.split('.').collect::<Vec<_>>()) <= Named::Count {
        return None;
    }
    let value = up_to(&text[at + 1..], MAX_BYTES);
    let value = &value
        [..value.find([';', '&', ' ', '\t', '\r', '\n', ',', '"', '\'']).unwrap_or(value.len())];
    let is_signature = name == "sig" && text.contains("://");
    ((is_signature || name != "sig") && is_literal(value)).then_some(at + 1..at + 1 + value.len())
}

/// As far is a password looked for, so that a long line takes no longer than its length.
const MAX_BYTES: usize = 2048;

fn up_to(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Whether this stands for itself, and for nothing that is filled in later.
fn is_literal(value: &str) -> bool {
    let filled_in = value.starts_with(['{', '<', '%', '*']) || is_placeholder(value);
    !value.is_empty() && !filled_in && !is_flag(value)
}
