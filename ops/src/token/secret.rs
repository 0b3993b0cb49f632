//! The text of a token: `sp_`, 30 random letters and digits, and six more that are the CRC-32 of
//! those, in base 62. So a slip of the hand is told without a look at the database, and whoever
//! looks for secrets in files finds it. It is the scheme of
//! <https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>.

use std::fmt;

use super::Refused;
use crate::{Error, Result, hash};

const PREFIX: &str = "sp_";
const RANDOM: usize = 30;
const CHECKSUM: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The text of a token. It is shown once, by [`Secret::reveal`], and kept nowhere.
pub struct Secret(String);

impl Secret {
    /// A text that nobody can guess: 178 random bits from the operating system.
    pub(super) fn random() -> Result<Self> {
        let mut random = String::with_capacity(RANDOM);
        while random.len() < RANDOM {
            let mut bytes = [0; 64];
            getrandom::fill(&mut bytes)
                .map_err(|error| Error::NoRandomness { reason: error.to_string() })?;
            // Six bits are 0 to 63: without the last two each digit is as likely as any other.
            let digits = bytes.iter().filter_map(|it| ALPHABET.get(usize::from(it & 0x3f)));
            random.extend(digits.take(RANDOM - random.len()).map(|it| char::from(*it)));
        }
        Ok(Self::of(&random))
    }

    fn of(random: &str) -> Self {
        Self(format!("{PREFIX}{random}{}", checksum(random)))
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it. A fast hash is enough for what is random: nobody tries 2^178 texts.
    pub(super) fn hash(&self) -> String {
        hash::of_bytes(self.0.as_bytes())
    }
}

/// Debug output of whatever holds it must not give it away.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({PREFIX}…)")
    }
}

/// Whether `text` can be a token at all.
pub(super) fn check(text: &str) -> Result<(), Refused> {
    let body = text.strip_prefix(PREFIX).filter(|it| it.len() == RANDOM + CHECKSUM);
    let body = body.filter(|it| it.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    match body.map(|it| it.split_at(RANDOM)) {
        Some((random, told)) if checksum(random) == told => Ok(()),
        _ => Err(Refused::Malformed),
    }
}

/// The CRC-32 of `random`, in six digits of base 62.
fn checksum(random: &str) -> String {
    let mut rest = u64::from(crc32fast::hash(random.as_bytes()));
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_scheme() {
        // CRC-32 of "123456789" is 0xCBF43926, see https://reveng.sourceforge.io/crc-catalogue/.
        let value = checksum("123456789").bytes().fold(0, |value: u64, digit| {
            value * 62 + ALPHABET.iter().position(|it| *it == digit).unwrap() as u64
        });

        assert_eq!(value, 0xcbf4_3926);
    }

    #[test]
    fn random_texts_differ_and_are_well_formed() {
        let texts: Vec<_> = (0..100).map(|_| Secret::random().unwrap()).collect();
        let mut seen: Vec<_> = texts.iter().map(Secret::reveal).collect();
        seen.sort_unstable();
        seen.dedup();

        assert!(seen.len() == 100 && seen.iter().all(|it| it.len() == 39 && check(it).is_ok()));
    }

    /// A chi-square over 62 digits: 61 degrees of freedom, above 120 once in 100,000 runs.
    #[test]
    fn each_digit_is_as_likely_as_any_other() {
        const TEXTS: usize = 2000;
        let mut counts = [0_u32; 128];
        for _ in 0..TEXTS {
            let secret = Secret::random().unwrap();
            secret.reveal()[3..33].bytes().for_each(|it| counts[usize::from(it)] += 1);
        }
        let expected = (TEXTS * RANDOM) as f64 / 62.0;
        let deviation = ALPHABET.iter().map(|it| f64::from(counts[usize::from(*it)]) - expected);

        let chi_square: f64 = deviation.map(|it| it * it / expected).sum();
        assert!(chi_square < 150.0, "{chi_square}");
    }

    #[test]
    fn what_is_printed_for_debugging_is_not_the_text() {
        let secret = Secret::random().unwrap();

        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(sp_…) Some(Secret(sp_…))");
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let good = Secret::of("0123456789abcdefghijABCDEFGHIJ").0;
        let longer = format!("{good}0");
        let spaced = format!(" {good}");
        let others = ["", "sp_", "Bearer", &good[3..], &good[..38], &longer, &spaced];

        assert!(check(&good).is_ok() && others.iter().all(|it| check(it).is_err()));
    }

    proptest! {
        #[test]
        fn what_was_made_is_well_formed(random in "[0-9A-Za-z]{30}") {
            prop_assert!(check(&Secret::of(&random).0).is_ok());
        }

        #[test]
        fn one_wrong_character_anywhere_is_told(random in "[0-9A-Za-z]{30}") {
            let text = Secret::of(&random).0;
            for (at, right) in text.char_indices() {
                for wrong in (' '..='~').chain(['é', '\0']).filter(|it| *it != right) {
                    let typo = format!("{}{wrong}{}", &text[..at], &text[at + 1..]);
                    prop_assert_eq!(check(&typo), Err(Refused::Malformed), "{}", typo);
                }
            }
        }

        #[test]
        fn two_neighbours_that_were_swapped_are_told(random in "[0-9A-Za-z]{30}") {
            let text = Secret::of(&random).0;
            for at in 0..text.len() - 1 {
                let mut typo = text.clone().into_bytes();
                typo.swap(at, at + 1);
                let typo = String::from_utf8(typo).unwrap();
                prop_assert_eq!(check(&typo).is_err(), typo != text, "{}", typo);
            }
        }

        #[test]
        fn any_text_is_looked_at_without_harm(text in any::<String>(), tail in any::<String>()) {
            prop_assert!(check(&text).is_err());
            let text = format!("{PREFIX}{tail}");
            prop_assert!(check(&text).is_err());
        }
    }
}
