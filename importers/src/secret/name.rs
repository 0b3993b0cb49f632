//! What a name says of its value, by its last words.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// From the least to the most that it makes a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    /// Not a secret's name.
    Plain,
    /// `tokens`: a number of them, or the tokens themselves.
    Count,
    /// Text is a secret, a short number is none.
    Text,
    /// Numbers are secrets too.
    Anything,
}

/// Whether a name of a secret may be in the text of a key: each has one of these in it.
pub(super) fn may_tell(key: &str) -> bool {
    const PARTS: [&str; 16] = [
        "pass",
        "pwd",
        "pin",
        "secret",
        "token",
        "cred",
        "bearer",
        "psk",
        "key",
        "string",
        "url",
        "hash",
        "auth",
        "signature",
        "code",
        "phrase",
    ];
    static KNOWN: LazyLock<Option<AhoCorasick>> =
        LazyLock::new(|| AhoCorasick::builder().ascii_case_insensitive(true).build(PARTS).ok());
    // Other letters may have one of these as their small form.
    !key.is_ascii() || KNOWN.as_ref().is_none_or(|known| known.is_match(key))
}

/// What the last segment says, or one above it that holds nothing but secrets.
pub(super) fn of<S: AsRef<str>>(segments: &[S]) -> Named {
    let Some((last, above)) = segments.split_last() else { return Named::Plain };
    let own = own(last.as_ref(), above.last().map(AsRef::as_ref));
    let (mut is_told_of, mut seen) = (false, segments.len());
    let mut named = own;
    for at in (0..above.len()).rev() {
        let holder = holder(above[at].as_ref());
        if holder == Named::Plain {
            continue;
        }
        while seen > at + 1 {
            seen -= 1;
            is_told_of |= describes(segments[seen].as_ref());
        }
        named = named.max(match (holder, is_told_of) {
            (Named::Anything, true) => Named::Text,
            (_, true) => Named::Plain,
            (holder, false) => holder,
        });
    }
    named
}

/// Whether a name tells something about what it lies in, such as how long a password is.
fn describes(segment: &str) -> bool {
    let words = words(segment);
    let first = words.first().is_some_and(|it| ASKING.contains(&&**it));
    let counts = words.iter().any(|it| COUNTING.contains(&&**it));
    first
        || counts
        || words.last().is_some_and(|it| ABOUT.split(' ').any(|about| about == singular(it)))
}

/// As many words at the end of a name are looked at.
const MAX_WORDS: usize = 8;

fn own(segment: &str, parent: Option<&str>) -> Named {
    let mut words = words(segment);
    strip_qualifiers(&mut words);
    // In `api.key` and `password.value` a part of the name stands in the segment above.
    let needs_parent = match words.as_slice() {
        [] => true,
        [word] => PAIRS.iter().any(|(_, second)| singular(word) == *second),
        _ => false,
    };
    if needs_parent && let Some(parent) = parent {
        let mut above = self::words(parent);
        strip_qualifiers(&mut above);
        above.append(&mut words);
        words = above;
    }
    by_words(&words)
}

/// What a map of this name says of everything in it.
fn holder(segment: &str) -> Named {
    if !may_tell(segment) {
        return Named::Plain;
    }
    let mut words = words(segment);
    strip_qualifiers(&mut words);
    let named = by_words(&words);
    let holds = match words.last().map(|word| &**word) {
        Some("secrets" | "credentials" | "passwords" | "passphrases") => true,
        Some("tokens") => words.len() > 1,
        Some("keys") => true,
        _ => false,
    };
    match (holds, named) {
        (true, named) if named > Named::Plain => Named::Anything,
        // One password that is a map, as in `password.current`.
        (false, Named::Anything) if !words.first().is_some_and(|it| DOING.contains(&&**it)) => {
            Named::Text
        }
        _ => Named::Plain,
    }
}

fn by_words(words: &[Cow<'_, str>]) -> Named {
    let Some((last, before)) = words.split_last() else { return Named::Plain };
    let previous = before.last().map_or("", |word| word);
    let is = |list: &[&str], word: &str| list.contains(&word);
    if before.iter().any(|word| is(COUNTING, word))
        || before.first().is_some_and(|first| is(ASKING, first))
        || is(ELSEWHERE, previous)
    {
        return Named::Plain;
    }
    let word = singular(last);
    if word == "token" && is(NO_TOKEN, previous) {
        return Named::Plain;
    }
    if last == "tokens" && before.is_empty() {
        return Named::Count;
    }
    let follows = |(first, second): &(&[&str], &str)| word == *second && first.contains(&previous);
    if is(PASSWORDS, word)
        || word == "pass" && is(HAS_PASSWORD, previous)
        || word == "pin" && is(HAS_PIN, previous)
        || word == "code" && previous == "pin"
        || GLUED_PASSWORDS.iter().any(|end| word.ends_with(end))
    {
        return Named::Anything;
    }
    if is(TOKENS, word)
        || PAIRS.iter().any(follows)
        || GLUED_TOKENS.iter().any(|end| word.ends_with(end))
    {
        return Named::Text;
    }
    Named::Plain
}

const PASSWORDS: &[&str] =
    &["password", "passwd", "passphrase", "passcode", "pwd", "pincode", "secret"];

const TOKENS: &[&str] = &["token", "credential", "cred", "bearer", "pin", "psk"];

/// A name without separators, such as `dbpassword`, ends in one of these.
const GLUED_PASSWORDS: &[&str] = &["password", "passwd", "passphrase", "secret"];
const GLUED_TOKENS: &[&str] =
    &["token", "apikey", "accesskey", "secretkey", "privatekey", "authkey", "connectionstring"];

const HAS_PASSWORD: &[&str] = &[
    "db", "database", "smtp", "mail", "email", "user", "admin", "root", "mysql", "postgres", "pg",
    "redis", "mongo", "ftp", "sftp", "ldap", "proxy", "http", "auth", "login", "wifi", "mqtt",
];

const HAS_PIN: &[&str] =
    &["user", "sim", "card", "security", "access", "admin", "unlock", "login", "door", "alarm"];

/// What stands before a last word that is no secret alone.
const PAIRS: &[(&[&str], &str)] = &[
    (
        &[
            "api",
            "ssh",
            "otp",
            "access",
            "private",
            "secret",
            "encryption",
            "decryption",
            "signing",
            "signature",
            "auth",
            "authentication",
            "master",
            "account",
            "shared",
            "session",
            "deploy",
            "license",
            "subscription",
            "jwt",
            "hmac",
            "cipher",
            "crypto",
            "aes",
        ],
        "key",
    ),
    (&["connection", "conn"], "string"),
    (&["webhook"], "url"),
    (&["password", "passwd", "pwd"], "hash"),
    (&["basic"], "auth"),
    (&["access"], "signature"),
    (&["recovery", "backup"], "code"),
    (&["seed", "recovery"], "phrase"),
];

/// Before its last word, these make a name one of a number.
const COUNTING: &[&str] = &["max", "maximum", "min", "minimum", "num", "number", "total", "count"];

/// As its first word, these make a name one of a choice.
const ASKING: &[&str] = &[
    "has", "is", "use", "uses", "require", "requires", "required", "enable", "enabled", "disable",
    "disabled", "show", "hide", "allow", "allowed", "forgot",
];

/// Right before its last word, these say that it is known to all or lies elsewhere.
const ELSEWHERE: &[&str] = &["public", "publishable", "existing", "pull"];

/// As its last word, these make a name in the map of a secret one of how it is made, kept or
/// asked for.
const ABOUT: &str = "\
    age algorithm attempt backend blank body button character charset complexity cookie cost \
    date day description dir directory enabled encoding endpoint engine env error expiration \
    expire expiry field file format header hint history host hour id interval invalid issuer \
    iteration kind label length level link long manager message minute missing mode month \
    name namespace path pattern period placeholder policy port prefix prompt provider ref \
    regex region requirement retry rotation round rule second short size source store \
    strength subject template text time timeout title ttl type uri url variable version weak \
    year";

/// As its first word, these make a name in which `password` is last one of something to do.
const DOING: &[&str] = &[
    "reset", "change", "update", "recover", "lost", "create", "generate", "set", "check", "verify",
    "confirm", "validate",
];

/// What else is called a token, as in tokenizers and design systems.
const NO_TOKEN: &[&str] =
    &["eos", "bos", "pad", "unk", "sep", "cls", "mask", "stop", "special", "design"];

/// Words after the name that only say which one it is, or how it is written.
const QUALIFIERS: &[&str] = &[
    "value",
    "text",
    "plain",
    "raw",
    "json",
    "pem",
    "hex",
    "base",
    "b",
    "old",
    "new",
    "current",
    "previous",
    "next",
    "primary",
    "secondary",
    "default",
    "prod",
    "production",
    "staging",
    "dev",
    "test",
    "live",
    "sandbox",
];

fn strip_qualifiers(words: &mut Vec<Cow<'_, str>>) {
    while words.last().is_some_and(|word| {
        QUALIFIERS.contains(&&**word) || word.bytes().all(|byte| byte.is_ascii_digit())
    }) {
        words.pop();
    }
}

fn singular(word: &str) -> &str {
    if word.ends_with("ss") { word } else { word.strip_suffix('s').unwrap_or(word) }
}

/// The last words of a segment, in lower case.
fn words(segment: &str) -> Vec<Cow<'_, str>> {
    let mut words = Vec::new();
    let mut end = segment.len();
    let mut rest = segment.char_indices().rev().peekable();
    while let Some((at, character)) = rest.next() {
        let before = rest.peek().map(|(_, it)| *it);
        let after = segment[at + character.len_utf8()..end].chars().next();
        if !character.is_alphanumeric() {
            end = at;
            continue;
        }
        if !before.is_some_and(|before| continues(before, character, after)) {
            words.push(lower(&segment[at..end]));
            end = at;
            if words.len() == MAX_WORDS {
                break;
            }
        }
    }
    words.reverse();
    words
}

/// Whether `character`, which `after` follows in its word, is in one word with `before`.
fn continues(before: char, character: char, after: Option<char>) -> bool {
    if !before.is_alphanumeric() || before.is_numeric() != character.is_numeric() {
        return false;
    }
    if !character.is_uppercase() {
        return true;
    }
    // `apiKey` and `APIKey` are two words, `API` is one.
    before.is_uppercase() && !after.is_some_and(char::is_lowercase)
}

fn lower(word: &str) -> Cow<'_, str> {
    if word.chars().any(char::is_uppercase) {
        Cow::Owned(word.to_lowercase())
    } else {
        Cow::Borrowed(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_separators_case_and_digits() {
        let split = |name| words(name).join(" ");

        assert_eq!(split("db_password-2"), "db password 2");
        assert_eq!(split("apiKey"), "api key");
        assert_eq!(split("APIKey"), "api key");
        assert_eq!(split("AWS_SECRET_ACCESS_KEY"), "aws secret access key");
        assert_eq!(split("oauth2Token"), "oauth 2 token");
        assert_eq!(split("__"), "");
        assert_eq!(split("Schlüssel wort"), "schlüssel wort");
    }
}
