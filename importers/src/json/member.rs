//! The member of a map or element of an array that a place in broken JSON stands in.

use std::ops::Range;

/// The smallest one around `offset`, with the comma after it; none if the brackets or quotes
/// around it do not close.
pub(super) fn around(text: &str, offset: usize) -> Option<Range<usize>> {
    let mut starts = Vec::new();
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        let next = bytes.peek().map(|(_, byte)| *byte);
        let end = match (byte, next) {
            (b'"', _) => {
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
                continue;
            }
            (b'/', Some(b'/')) => {
                bytes.by_ref().find(|(_, byte)| *byte == b'\n');
                continue;
            }
            (b'/', Some(b'*')) => {
                let mut last = b' ';
                bytes
                    .by_ref()
                    .skip(1)
                    .find(|(_, byte)| std::mem::replace(&mut last, *byte) == b'*' && *byte == b'/');
                continue;
            }
            (b'{' | b'[', _) => {
                starts.push(at + 1);
                continue;
            }
            (b',', _) => at + 1,
            (b'}' | b']', _) => at,
            _ => continue,
        };
        let start = starts.pop()?;
        if (start..end.max(start + 1)).contains(&offset) {
            return Some(start..end);
        }
        if byte == b',' {
            starts.push(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_smallest_member() {
        let text = r#"{"a": 1, "b": [1, x, 3], "c": ",]" /* ,} */, "d": nope}"#;
        let found = |part: &str| around(text, text.find(part).unwrap()).map(|it| &text[it]);

        assert_eq!(found("x,"), Some(" x,"));
        assert_eq!(found("nope"), Some(r#" "d": nope"#));
        assert_eq!(found("1,"), Some(r#""a": 1,"#));
        assert_eq!(found(",]"), Some(r#" "c": ",]" /* ,} */,"#));
        assert_eq!(around("{\"a", 2), None);
        assert_eq!(around("]", 0), None);
    }
}
