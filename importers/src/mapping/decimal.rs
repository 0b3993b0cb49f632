//! Numbers as they are written: decimal digits, which nothing rounds.

use serde_json::Number;

use super::refusal::Refusal;

/// `digits` × 10^`exponent`, without zeros at the end of `digits`.
///
/// A float is the decimal that it is written as: 0.1 is one tenth, not the nearest binary fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: u128,
    exponent: i32,
}

impl Decimal {
    pub fn of(number: &Number) -> Result<Self, Refusal> {
        Self::parse(&number.to_string())
    }

    /// Reads a number as JSON has it, <https://www.rfc-editor.org/rfc/rfc8259#section-6>.
    ///
    /// What else might be one (`+1`, `0x1F`, `1_000`, `007`) is a matter of opinion.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let power = exponent.map(|it| it.strip_prefix(['+', '-']).unwrap_or(it));
        let parts = [Some(whole), fraction, power];
        if !parts.into_iter().flatten().all(is_digits)
            || (whole.len() > 1 && whole.starts_with('0'))
        {
            return Err(Refusal::NotANumber);
        }
        let fraction = fraction.unwrap_or_default();
        let all = format!("{whole}{fraction}");
        let significant = all.trim_end_matches('0');
        let dropped = all.len() - significant.len();
        let digits = if significant.trim_start_matches('0').is_empty() {
            0
        } else {
            significant.parse().map_err(|_| Refusal::TooManyDigits)?
        };
        let exponent = exponent.map_or(Ok(0), str::parse::<i32>);
        let shift = dropped as i64 - fraction.len() as i64;
        let exponent = exponent.ok().map(|it| i64::from(it) + shift);
        let exponent = exponent.and_then(|it| i32::try_from(it).ok());
        let negative = text.len() > unsigned.len();
        Ok(Self::normal(negative, digits, exponent.ok_or(Refusal::TooManyDigits)?))
    }

    /// This number times `multiplier / divisor`.
    pub fn scaled(self, multiplier: u128, divisor: u128) -> Result<Self, Refusal> {
        let common = common_divisor(multiplier, divisor);
        let product = self.digits.checked_mul(multiplier / common);
        let mut digits = product.ok_or(Refusal::TooManyDigits)?;
        let mut divisor = divisor / common;
        let mut exponent = self.exponent;
        while divisor > 1 {
            let common = common_divisor(digits, divisor);
            (digits, divisor) = (digits / common, divisor / common);
            if divisor == 1 {
                break;
            }
            // One more place behind the point, unless no number of places is enough.
            if common_divisor(divisor, 10) == 1 {
                return Err(Refusal::Endless);
            }
            digits = digits.checked_mul(10).ok_or(Refusal::TooManyDigits)?;
            exponent -= 1;
        }
        Ok(Self::normal(self.negative, digits, exponent))
    }

    pub fn integer(self) -> Result<Number, Refusal> {
        if self.exponent < 0 || (self.negative && self.digits == 0) {
            return Err(Refusal::NotWhole);
        }
        let power = u32::try_from(self.exponent).ok().and_then(|it| 10_u128.checked_pow(it));
        let size = power.and_then(|power| self.digits.checked_mul(power));
        let size = size.and_then(|it| i128::try_from(it).ok()).ok_or(Refusal::TooLarge)?;
        let number = if self.negative { -size } else { size };
        i64::try_from(number)
            .map(Number::from)
            .or_else(|_| u64::try_from(number).map(Number::from))
            .map_err(|_| Refusal::TooLarge)
    }

    pub fn float(self) -> Result<Number, Refusal> {
        let number = self.as_f64().and_then(Number::from_f64).ok_or(Refusal::TooLarge)?;
        match Self::of(&number) {
            Ok(read) if read == self => Ok(number),
            _ => Err(Refusal::TooManyDigits),
        }
    }

    /// The nearest float.
    pub fn as_f64(self) -> Option<f64> {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{}e{}", self.digits, self.exponent).parse().ok()
    }

    fn normal(negative: bool, mut digits: u128, mut exponent: i32) -> Self {
        if digits == 0 {
            return Self { negative, digits, exponent: 0 };
        }
        while digits.is_multiple_of(10) {
            digits /= 10;
            exponent += 1;
        }
        Self { negative, digits, exponent }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())
}

fn common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn a_text_is_a_number_if_json_says_so() {
        for text in ["", "-", "+1", "007", "1_000", "0x1F", ".5", "1.", "1e", " 1", "1,5", "inf"] {
            assert_eq!(Decimal::parse(text), Err(Refusal::NotANumber), "{text}");
        }
        assert_eq!(decimal("1.50e+3"), decimal("1500"));
        assert_eq!(decimal("0.000"), decimal("0e9"));
        assert_eq!(Decimal::parse("1e99999999999"), Err(Refusal::TooManyDigits));
        assert_eq!(Decimal::parse(&"7".repeat(60)), Err(Refusal::TooManyDigits));
    }

    #[test]
    fn scaling_is_exact_or_refused() {
        let seconds = |text| decimal(text).scaled(1, 1000).and_then(Decimal::float);

        assert_eq!(seconds("1500"), Ok(Number::from_f64(1.5).unwrap()));
        assert_eq!(seconds("100"), Ok(Number::from_f64(0.1).unwrap()));
        assert_eq!(decimal("100").scaled(1, 60), Err(Refusal::Endless));
        assert_eq!(decimal("90").scaled(1, 60), Ok(decimal("1.5")));
        assert_eq!(decimal("1").scaled(1, 1 << 30), Ok(decimal("9.31322574615478515625e-10")));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(decimal("1.5").integer(), Err(Refusal::NotWhole));
        assert_eq!(decimal("-0").integer(), Err(Refusal::NotWhole));
        assert_eq!(decimal("1e30").integer(), Err(Refusal::TooLarge));
        assert_eq!(decimal("1e400").float(), Err(Refusal::TooLarge));
        assert_eq!(decimal("9007199254740993").float(), Err(Refusal::TooManyDigits));
        assert_eq!(decimal("1e-400").float(), Err(Refusal::TooManyDigits));
        assert_eq!(decimal("18446744073709551615").integer(), Ok(Number::from(u64::MAX)));
        assert_eq!(decimal("-9223372036854775808").integer(), Ok(Number::from(i64::MIN)));
    }

    proptest! {
        #[test]
        fn every_number_is_its_own_decimal(integer in any::<i64>(), float in any::<f64>()) {
            let integer = Number::from(integer);
            prop_assert_eq!(Decimal::of(&integer).unwrap().integer(), Ok(integer));
            let Some(float) = Number::from_f64(float) else { return Ok(()) };
            prop_assert_eq!(Decimal::of(&float).unwrap().float(), Ok(float));
        }

        #[test]
        fn scaling_there_and_back_changes_nothing(number in any::<i64>(), by in 1_u128..5000) {
            let number = Decimal::of(&Number::from(number)).unwrap();
            let Ok(scaled) = number.scaled(by, 1000) else { return Ok(()) };

            prop_assert_eq!(scaled.scaled(1000, by), Ok(number));
        }
    }
}
