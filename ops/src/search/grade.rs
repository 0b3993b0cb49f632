//! How well something was found, as numbers that compare.

/// Which text of a setting, the least telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Value,
    Description,
    Label,
    Key,
}

/// How a word, or the whole query, lies in a text, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// Letters between were left out.
    Fuzzy = 1,
    Inside,
    /// From the start of a word.
    Part,
    /// From the start of a segment.
    Prefix,
    /// Whole segments.
    Segment,
    /// The query is the last segments, but for case and signs.
    TailAlike,
    /// The query is the key, but for case and signs.
    Alike,
    /// The query is the last segments; whole if in the same case.
    Tail,
    /// The query is the key; whole if in the same case.
    Exact,
}

/// Tier, then field, then whether it also ends with a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grade(u8);

impl Grade {
    /// Not found.
    pub const NONE: Self = Self(0);

    /// What lies inside a word is not whole, wherever it ends.
    pub const fn new(tier: Tier, field: Field, whole: bool) -> Self {
        let whole = whole && !matches!(tier, Tier::Inside);
        Self((tier as u8) << 3 | (field as u8) << 1 | whole as u8)
    }

    pub const fn field(self) -> Field {
        match self.0 >> 1 & 3 {
            0 => Field::Value,
            1 => Field::Description,
            2 => Field::Label,
            _ => Field::Key,
        }
    }
}

/// The worst grade, then the sum of all, then how precise the fuzzy ones are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Score(u32);

const BITS: u32 = 12;
const MOST: u32 = (1 << BITS) - 1;

impl Score {
    /// Of no words at all.
    pub const BEST: Self = Self((u8::MAX as u32) << (2 * BITS));

    /// With one word more.
    pub fn with(self, grade: Grade) -> Self {
        let worst = self.worst().0.min(grade.0);
        let sum = (self.0 >> BITS & MOST) + u32::from(grade.0);
        Self(u32::from(worst) << (2 * BITS) | sum << BITS)
    }

    pub fn worst(self) -> Grade {
        Grade((self.0 >> (2 * BITS)) as u8)
    }

    pub fn refined(self, precision: u32) -> Self {
        Self(self.0 & !MOST | precision.min(MOST))
    }

    pub fn get(self) -> u32 {
        self.0
    }
}
