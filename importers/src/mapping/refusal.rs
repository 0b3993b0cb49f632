//! Why a value was not converted. It says nothing of the value, which may be a secret.

use thiserror::Error;

/// Why a value was not converted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("there is no conversion between these types")]
    OtherType,
    #[error("the text is not a number as JSON writes one")]
    NotANumber,
    #[error("the text is neither `true` nor `false`")]
    NotABoolean,
    #[error("the text is not JSON")]
    NotJson,
    #[error("the text is a JSON map, which is many settings and not one")]
    JsonMap,
    #[error("the items do not come back from one text with commas")]
    NotJoinable,
    #[error("a unit needs a number")]
    UnitOfNoNumber,
    #[error("the number is not whole")]
    NotWhole,
    #[error("the number does not fit in 64 bits")]
    TooLarge,
    #[error("the number has more digits than a setting can hold")]
    TooManyDigits,
    #[error("the number has no end of digits in that unit")]
    Endless,
    #[error("converted back, it would be another value")]
    OneWay,
}
