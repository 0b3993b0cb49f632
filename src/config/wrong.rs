//! What is wrong with a value, in words for whoever has written it: nothing of how it is read.

use figment::Figment;
use figment::error::{Actual, Kind};
use figment::value::Value;

/// What is wrong with the value of `key`, and what to do.
pub(super) fn told(key: &str, kind: &Kind) -> (String, String) {
    let mend = || "mend it there; nothing was done".to_owned();
    match kind {
        Kind::UnknownField(_, known) => {
            ("there is no such key".to_owned(), format!("known here: {}", known.join(", ")))
        }
        Kind::UnknownVariant(_, known) => {
            let known = known.join(", ");
            (format!("is none of {known}"), format!("give one of {known}; nothing was done"))
        }
        Kind::MissingField(name) => {
            (format!("has no `{name}`"), format!("say {name} = … there; nothing was done"))
        }
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => {
            let (found, wanted) = (found_in_words(found), Wanted::of(wanted));
            let Some(wanted) = wanted else {
                return (format!("is {found}, which it cannot be"), mend());
            };
            (format!("is {found}, and not {}", wanted.in_words()), wanted.help(key))
        }
        Kind::Message(said) if said.starts_with("data did not match") => {
            ("is nothing that it can be".to_owned(), mend())
        }
        other => (other.to_string(), mend()),
    }
}

/// Not the value itself: it may be a secret in a wrong place.
fn found_in_words(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(true) => "true",
        Actual::Bool(false) => "false",
        Actual::Signed(number) if *number < 0 => "a number below 0",
        Actual::Unsigned(_) | Actual::Signed(_) => "a number",
        Actual::Float(_) => "a number with a fraction",
        Actual::Str(_) | Actual::Char(_) => "a text",
        Actual::Seq => "a list",
        Actual::Map => "a section",
        _ => "something else",
    }
}

/// What a value is to be.
enum Wanted {
    Text,
    Switch,
    List,
    Section,
    /// A whole number, from the first to the last.
    Number(&'static str, &'static str),
}

impl Wanted {
    /// From the words of whoever reads it.
    fn of(expected: &str) -> Option<Self> {
        Some(match expected {
            "u8" => Self::Number("0", "255"),
            "u16" => Self::Number("0", "65535"),
            "u32" => Self::Number("0", "4294967295"),
            "u64" | "usize" => Self::Number("0", "9223372036854775807"),
            "i64" => Self::Number("-1", "4294967295"),
            "a boolean" => Self::Switch,
            "a sequence" => Self::List,
            _ if expected.starts_with("a map") || expected.starts_with("struct ") => Self::Section,
            _ if expected.contains("string") || expected.starts_with("enum ") => Self::Text,
            _ => return None,
        })
    }

    fn in_words(&self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Switch => "true or false",
            Self::List => "a list",
            Self::Section => "a section",
            Self::Number(..) => "a whole number that is possible here",
        }
    }

    fn help(&self, key: &str) -> String {
        let name = key.rsplit('.').next().unwrap_or(key);
        let help = match self {
            Self::Text if name == "keep_within" || name.ends_with("_for") => {
                format!("give years, months, days and hours in quotes, as in {name} = \"7d\"")
            }
            Self::Text if name.parse::<usize>().is_ok() => "give a text in quotes".to_owned(),
            Self::Text => format!("give a text in quotes, as in {name} = \"…\""),
            Self::Switch => format!("say {name} = true, or false, without quotes"),
            Self::List if matches!(name, "job" | "source") => {
                format!("write [[{name}]], with two brackets, above each")
            }
            Self::List => format!("give a list, as in {name} = [\"…\"]"),
            Self::Section if key == "setpoint" => "give names with values".to_owned(),
            Self::Section => match key.split('.').collect::<Vec<_>>()[..] {
                [kind @ ("job" | "source"), _] => {
                    format!("write [[{kind}]], with two brackets, above each")
                }
                ["source", ..] => format!("give a section in braces, as in {name} = {{ … }}"),
                _ => format!("write [{key}], and what belongs to it below"),
            },
            Self::Number(first, last) => {
                format!("give a whole number without quotes, from {first} to {last}")
            }
        };
        help + "; nothing was done"
    }
}

/// `key` with the name of the job, or the path of the source, that it is of, in place of a number.
pub(super) fn called(figment: &Figment, key: &str) -> String {
    let mut parts = key.splitn(3, '.');
    let (kind, at) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let field = match kind {
        "job" => "name",
        "source" => "path",
        _ => return key.to_owned(),
    };
    let Ok(at) = at.parse::<usize>() else { return key.to_owned() };
    let said = figment.find_value(kind).ok();
    let all = said.as_ref().and_then(Value::as_array).unwrap_or_default();
    let name_of = |it: &Value| it.as_dict()?.get(field)?.as_str().map(str::to_owned);
    let names: Vec<Option<String>> = all.iter().map(name_of).collect();
    let name = names.get(at).cloned().flatten();
    let is_only = names.iter().filter(|it| **it == name).count() == 1;
    let one = match name.filter(|it| is_only && !it.is_empty()) {
        Some(name) => format!("{kind} {name}"),
        None => format!("{kind} number {}", at + 1),
    };
    match parts.next() {
        Some(rest) => format!("{one}: {rest}"),
        None => one,
    }
}
