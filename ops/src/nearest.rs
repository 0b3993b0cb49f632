//! What somebody may have meant who has misspelt a name.

/// That of `known` which somebody may have meant by `said`, if one is near: less has to change
/// than the word is long, and no more than three letters.
pub(crate) fn nearest<'a>(said: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|it| (distance(&said.to_lowercase(), &it.to_lowercase()), it));
    let most = said.chars().count().saturating_sub(1).min(3);
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, it)| it)
}

/// How many letters to change, add or leave out (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, a) in a.chars().enumerate() {
        let mut corner = above;
        row[0] = above + 1;
        for (at, b) in b.iter().enumerate() {
            let changed = corner + usize::from(a != *b);
            corner = row[at + 1];
            row[at + 1] = changed.min(corner + 1).min(row[at] + 1);
        }
    }
    row[b.len()]
}
