//! Numbers that a setting can hold: 64-bit integers and finite floats.

use serde_json::Number;

/// The integer of these digits, which may have a sign.
///
/// # Errors
///
/// What to say of one outside i64 and u64.
pub(crate) fn integer(digits: &str, radix: u32) -> Result<Number, &'static str> {
    i64::from_str_radix(digits, radix)
        .map(Number::from)
        .or_else(|_| u64::from_str_radix(digits, radix).map(Number::from))
        .map_err(|_| "this integer does not fit in 64 bits; quote it to store it as text")
}

/// The float of this text.
///
/// # Errors
///
/// What to say of infinity and of not-a-number.
pub(crate) fn float(text: &str) -> Result<Number, &'static str> {
    let number = text.parse().ok().and_then(Number::from_f64);
    number.ok_or("this is not a finite number; write a finite one, or null")
}

/// Whether JSON (and so every setting) would call a number of this text an integer.
pub(crate) fn is_integer(text: &str) -> bool {
    !text.contains(['.', 'e', 'E'])
}
