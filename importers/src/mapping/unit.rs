//! Units of numbers, and getting from one to another without rounding.

use super::decimal::Decimal;
use super::refusal::Refusal;

/// One multiplication is the same on every machine, which `f64::to_radians` does not promise.
const RADIANS_PER_DEGREE: f64 = std::f64::consts::PI / 180.0;

/// Each unit as a multiple of the smallest of its kind; `deg` and `rad` have no such ratio.
const UNITS: [(&str, Quantity, u128); 16] = [
    ("ms", Quantity::Time, 1),
    ("s", Quantity::Time, 1_000),
    ("min", Quantity::Time, 60_000),
    ("h", Quantity::Time, 3_600_000),
    ("d", Quantity::Time, 86_400_000),
    ("B", Quantity::Size, 1),
    ("KiB", Quantity::Size, 1 << 10),
    ("MiB", Quantity::Size, 1 << 20),
    ("GiB", Quantity::Size, 1 << 30),
    ("KB", Quantity::Size, 1_000),
    ("MB", Quantity::Size, 1_000_000),
    ("GB", Quantity::Size, 1_000_000_000),
    ("percent", Quantity::Fraction, 1),
    ("ratio", Quantity::Fraction, 100),
    ("deg", Quantity::Angle, 0),
    ("rad", Quantity::Angle, 1),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    Time,
    Size,
    Fraction,
    Angle,
}

/// From one unit to another of the same quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Ratio { multiplier: u128, divisor: u128 },
    ToRadians,
    ToDegrees,
}

/// Why a text such as `ms -> s` is no scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ScaleError {
    NoArrow,
    Unknown(String),
    OtherQuantity,
}

impl Scale {
    /// Reads `ms -> s`.
    pub fn parse(text: &str) -> Result<Self, ScaleError> {
        let (from, to) = text.split_once("->").ok_or(ScaleError::NoArrow)?;
        let (_, quantity, multiplier) = unit(from.trim())?;
        let (_, other, divisor) = unit(to.trim())?;
        match quantity {
            _ if quantity != other => Err(ScaleError::OtherQuantity),
            Quantity::Angle if multiplier < divisor => Ok(Self::ToRadians),
            Quantity::Angle if multiplier > divisor => Ok(Self::ToDegrees),
            Quantity::Angle => Ok(Self::Ratio { multiplier: 1, divisor: 1 }),
            _ => Ok(Self::Ratio { multiplier, divisor }),
        }
    }

    pub fn apply(self, number: Decimal) -> Result<Decimal, Refusal> {
        match self {
            Self::Ratio { multiplier, divisor } => number.scaled(multiplier, divisor),
            Self::ToRadians => angle(number, |degrees| {
                let radians = degrees * RADIANS_PER_DEGREE;
                (degrees_of(radians) == Some(degrees)).then_some(radians)
            }),
            Self::ToDegrees => angle(number, degrees_of),
        }
    }

    pub fn inverse(self) -> Self {
        match self {
            Self::Ratio { multiplier, divisor } => {
                Self::Ratio { multiplier: divisor, divisor: multiplier }
            }
            Self::ToRadians => Self::ToDegrees,
            Self::ToDegrees => Self::ToRadians,
        }
    }
}

/// The names of all units.
pub(super) fn names() -> String {
    UNITS.map(|(name, ..)| name).join(", ")
}

fn unit(name: &str) -> Result<(&'static str, Quantity, u128), ScaleError> {
    let known = UNITS.into_iter().find(|(known, ..)| *known == name);
    known.ok_or_else(|| ScaleError::Unknown(name.to_owned()))
}

fn angle(number: Decimal, convert: impl Fn(f64) -> Option<f64>) -> Result<Decimal, Refusal> {
    let Ok(float) = number.float() else { return Err(Refusal::TooManyDigits) };
    let converted = float.as_f64().and_then(convert).ok_or(Refusal::OneWay)?;
    Decimal::of(&serde_json::Number::from_f64(converted).ok_or(Refusal::TooLarge)?)
}

/// The degrees with the fewest digits whose nearest radians these are.
///
/// Pi has no end, so radians are always rounded. This is what makes the way back exact: 30 is
/// 0.5235987755982988, and that is 30 again, though it is nearer to 29.999999999999996.
fn degrees_of(radians: f64) -> Option<f64> {
    let near = radians / RADIANS_PER_DEGREE;
    (0..=16)
        .filter_map(|places| format!("{near:.places$e}").parse::<f64>().ok())
        .chain([near.next_up(), near.next_down()])
        .find(|degrees| degrees * RADIANS_PER_DEGREE == radians)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn convert(scale: &str, number: &str) -> Result<f64, Refusal> {
        let number = Scale::parse(scale).unwrap().apply(Decimal::parse(number)?)?;
        Ok(number.as_f64().unwrap())
    }

    #[test]
    fn units_convert_without_rounding() {
        assert_eq!(convert("ms -> s", "1500"), Ok(1.5));
        assert_eq!(convert("h->d", "36"), Ok(1.5));
        assert_eq!(convert("MiB -> KB", "1"), Ok(1048.576));
        assert_eq!(convert("percent -> ratio", "7"), Ok(0.07));
        assert_eq!(convert("s -> min", "10"), Err(Refusal::Endless));
        assert_eq!(convert("rad -> rad", "0.3"), Ok(0.3));
    }

    #[test]
    fn every_whole_degree_comes_back_from_its_radians() {
        for degrees in -720..=720 {
            let number = Decimal::parse(&degrees.to_string()).unwrap();
            let radians = Scale::ToRadians.apply(number).unwrap();
            assert_eq!(Scale::ToDegrees.apply(radians).unwrap(), number);
        }
        assert_eq!(convert("deg -> rad", "180"), Ok(std::f64::consts::PI));
    }

    #[test]
    fn only_units_of_one_quantity_convert() {
        assert_eq!(Scale::parse("ms -> KiB"), Err(ScaleError::OtherQuantity));
        assert_eq!(Scale::parse("ms"), Err(ScaleError::NoArrow));
        assert_eq!(Scale::parse("ms -> kb"), Err(ScaleError::Unknown("kb".to_owned())));
    }

    proptest! {
        #[test]
        fn an_angle_comes_back_or_is_refused(number in any::<f64>(), small in -10_000_i32..10_000) {
            for number in [number, f64::from(small) / 100.0] {
                let Some(number) = serde_json::Number::from_f64(number) else { continue };
                let number = Decimal::of(&number).unwrap();
                for scale in [Scale::ToRadians, Scale::ToDegrees] {
                    if let Ok(converted) = scale.apply(number) {
                        prop_assert_eq!(scale.inverse().apply(converted), Ok(number));
                    }
                }
            }
        }
    }
}
