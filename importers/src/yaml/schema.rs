//! The core schema of YAML 1.2: which plain scalars are no text.
//!
//! See <https://yaml.org/spec/1.2.2/#103-core-schema>.

use std::borrow::Cow;

use granit_parser::Tag;
use serde_json::Number;

use crate::number;
use crate::tree::Scalar;

/// Why a scalar has no value.
pub(super) enum Wrong {
    Tag(String),
    Value(&'static str),
}

/// The value of a scalar by its tag, or if it is plain and has none, by its text.
pub(super) fn scalar<'a>(
    text: Cow<'a, str>,
    plain: bool,
    tag: Option<&Tag>,
) -> Result<Scalar<'a>, Wrong> {
    let Some(tag) = tag else {
        return if plain { resolve(text) } else { Ok(Scalar::Text(text)) };
    };
    if is_non_specific(tag) {
        return Ok(Scalar::Text(text));
    }
    let Some(suffix) = tag.core_suffix() else { return Err(Wrong::Tag(unknown(tag))) };
    if suffix == "str" {
        return Ok(Scalar::Text(text));
    }
    match (suffix, resolve(text)?) {
        ("null", value @ Scalar::Null) | ("bool", value @ Scalar::Boolean(_)) => Ok(value),
        ("int", Scalar::Number(number)) if !number.is_f64() => Ok(Scalar::Number(number)),
        ("float", Scalar::Number(number)) => Ok(Scalar::Number(to_float(number))),
        _ => Err(Wrong::Tag(format!("this value is no `{}`", tag.original()))),
    }
}

/// Whether a plain scalar of this text is text, in YAML 1.2 and in YAML 1.1.
pub(crate) fn is_text(plain: &str) -> bool {
    matches!(resolve(Cow::Borrowed(plain)), Ok(Scalar::Text(_))) && yaml_1_1(plain).is_none()
}

/// Whether a map or list may have this tag; `own` is that of its kind.
pub(super) fn check_collection(tag: &Tag, own: &str) -> Result<(), String> {
    match tag.core_suffix() {
        Some(suffix) if suffix == own => Ok(()),
        _ if is_non_specific(tag) => Ok(()),
        Some(_) => Err(format!("this value is no `{}`", tag.original())),
        None => Err(unknown(tag)),
    }
}

fn is_non_specific(tag: &Tag) -> bool {
    tag.parts() == ("", "!") || tag.parts() == ("!", "")
}

fn unknown(tag: &Tag) -> String {
    format!("unknown tag `{}`; remove it to store the value as it is written", tag.original())
}

fn to_float(number: Number) -> Number {
    number.as_f64().and_then(Number::from_f64).unwrap_or(number)
}

fn resolve(text: Cow<'_, str>) -> Result<Scalar<'_>, Wrong> {
    let number = |number: Result<Number, _>| number.map(Scalar::Number).map_err(Wrong::Value);
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Scalar::Null),
        "true" | "True" | "TRUE" => return Ok(Scalar::Boolean(true)),
        "false" | "False" | "FALSE" => return Ok(Scalar::Boolean(false)),
        ".nan" | ".NaN" | ".NAN" => return number(number::float("nan")),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(&text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return number(number::float("inf"));
    }
    if all_digits(unsigned, 10) {
        return number(number::integer(&text, 10));
    }
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && all_digits(digits, radix)
        {
            return number(number::integer(digits, radix));
        }
    }
    if is_float(unsigned) { number(number::float(&text)) } else { Ok(Scalar::Text(text)) }
}

fn all_digits(text: &str, radix: u32) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_digit(radix))
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_is_right = exponent.is_none_or(|exponent| {
        all_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent), 10)
    });
    exponent_is_right
        && digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
}

/// What to say of a plain scalar that YAML 1.1 reads as something else.
///
/// It repeats no numbers, for one of them may be a secret.
pub(super) fn yaml_1_1(text: &str) -> Option<String> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-yYnNoO".contains(c)) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "y" | "n" | "yes" | "no" | "on" | "off") {
        return Some(format!("`{text}` is text in YAML 1.2; write true or false for a boolean"));
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let only = |extra: &str| unsigned.chars().all(|c| c.is_ascii_hexdigit() || extra.contains(c));
    let mut parts = unsigned.split(':');
    let message = if unsigned.len() > 1 && unsigned.starts_with('0') && all_digits(unsigned, 10) {
        "in YAML 1.2 this is a decimal integer, not octal; quote it to keep its zeros"
    } else if unsigned.contains('_') && only("_.xo+-") {
        "this is text in YAML 1.2; remove `_` for a number"
    } else if unsigned.strip_prefix("0b").is_some_and(|digits| all_digits(digits, 2)) {
        "this is text in YAML 1.2, which has no binary numbers"
    } else if unsigned.contains(':')
        && parts.next().is_some_and(|first| all_digits(first, 10))
        && parts.all(is_sexagesimal)
    {
        "this is text in YAML 1.2, and no number to base 60"
    } else {
        return None;
    };
    Some(message.to_owned())
}

fn is_sexagesimal(part: &str) -> bool {
    let whole = part.split_once('.').map_or(part, |(whole, _)| whole);
    all_digits(whole, 10) && whole.len() <= 2
}
