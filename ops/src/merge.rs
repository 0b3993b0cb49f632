//! The three-way merge of one key. Pure: no database, no clock.

/// What becomes of a key, given its seed, its live value and the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All three agree.
    Nothing,
    Add,
    Update,
    Delete,
    /// A user's edit, or a user's own key, or a key a user deleted: it stays.
    Keep,
    /// File and user did the same: only the seed has to learn of it.
    Converge,
    /// Both moved, and not to the same value: the user's stays until someone chooses.
    Conflict,
}

/// Merges `base`, the seed, `ours`, the live value, and `theirs`, the file's.
///
/// | base | ours | theirs | outcome |
/// |---|---|---|---|
/// | ∅ | ∅ | T | add |
/// | ∅ | O | ∅ | keep |
/// | ∅ | X | X | converge |
/// | ∅ | O | T | conflict |
/// | B | B | B | nothing |
/// | B | B | T | update |
/// | B | O | B | keep |
/// | B | X | X | converge |
/// | B | O | T | conflict |
/// | B | B | ∅ | delete |
/// | B | ∅ | B | keep |
/// | B | ∅ | T | conflict |
/// | B | O | ∅ | conflict |
/// | B | ∅ | ∅ | converge |
pub fn merge<T: PartialEq>(base: Option<&T>, ours: Option<&T>, theirs: Option<&T>) -> Outcome {
    let (unmoved, same) = (theirs == base, ours == theirs);
    match (base, ours, theirs) {
        _ if unmoved && same => Outcome::Nothing,
        _ if unmoved => Outcome::Keep,
        _ if ours == base => match (base, theirs) {
            (None, _) => Outcome::Add,
            (_, None) => Outcome::Delete,
            _ => Outcome::Update,
        },
        _ if same => Outcome::Converge,
        _ => Outcome::Conflict,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every row of the table, as the design writes it: `.` is absent.
    #[test]
    fn follows_the_table() {
        let side = |name: char| (name != '.').then_some(name);
        let table = [
            ("..T", Outcome::Add),
            (".O.", Outcome::Keep),
            (".XX", Outcome::Converge),
            (".OT", Outcome::Conflict),
            ("BBB", Outcome::Nothing),
            ("BBT", Outcome::Update),
            ("BOB", Outcome::Keep),
            ("BXX", Outcome::Converge),
            ("BOT", Outcome::Conflict),
            ("BB.", Outcome::Delete),
            ("B.B", Outcome::Keep),
            ("B.T", Outcome::Conflict),
            ("BO.", Outcome::Conflict),
            ("B..", Outcome::Converge),
            ("...", Outcome::Nothing),
        ];

        for (row, outcome) in table {
            let sides: Vec<Option<char>> = row.chars().map(side).collect();
            let merged = merge(sides[0].as_ref(), sides[1].as_ref(), sides[2].as_ref());
            assert_eq!(merged, outcome, "{row}");
        }
    }

    fn sides() -> impl Strategy<Value = (Option<u8>, Option<u8>, Option<u8>)> {
        let side = || prop::option::of(0..3_u8);
        (side(), side(), side())
    }

    proptest! {
        #[test]
        fn an_edit_is_never_lost((base, ours, theirs) in sides()) {
            let outcome = merge(base.as_ref(), ours.as_ref(), theirs.as_ref());

            let writes = matches!(outcome, Outcome::Add | Outcome::Update | Outcome::Delete);
            let live = if writes { theirs } else { ours };
            prop_assert!(ours == base || live == ours);
        }

        #[test]
        fn merging_again_changes_nothing((base, ours, theirs) in sides()) {
            let outcome = merge(base.as_ref(), ours.as_ref(), theirs.as_ref());
            let (base, live) = match outcome {
                Outcome::Add | Outcome::Update | Outcome::Delete => (theirs, theirs),
                Outcome::Converge => (theirs, ours),
                Outcome::Nothing | Outcome::Keep | Outcome::Conflict => (base, ours),
            };

            let again = merge(base.as_ref(), live.as_ref(), theirs.as_ref());
            let settled = matches!(again, Outcome::Nothing | Outcome::Keep);
            prop_assert!(settled || again == outcome && outcome == Outcome::Conflict);
        }

        #[test]
        fn one_side_alone_wins((base, side, _) in sides()) {
            let theirs = merge(base.as_ref(), base.as_ref(), side.as_ref());
            let ours = merge(base.as_ref(), side.as_ref(), base.as_ref());

            prop_assert!(!matches!(theirs, Outcome::Keep | Outcome::Conflict | Outcome::Converge));
            prop_assert!(matches!(ours, Outcome::Keep | Outcome::Nothing));
        }
    }
}
