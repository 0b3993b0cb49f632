//! Numbers and sizes as people read them.

use std::fmt::Display;

/// `1 file`, `2 files`
pub fn counted(count: impl Display, what: &str) -> String {
    match count.to_string().as_str() {
        "1" => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// `17.3 KiB`
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (bytes.max(1).ilog2() / 10).min(4);
    match unit {
        0 => format!("{bytes} B"),
        _ => {
            let tenths = (u128::from(bytes) * 10) >> (10 * unit);
            format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit as usize])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!([0, 1, 21].map(|it| counted(it, "run")), ["0 runs", "1 run", "21 runs"]);
    }

    #[test]
    fn a_size_is_that_of_its_unit_to_a_tenth() {
        let sizes = [0, 1023, 1024, 27_136, 30_720, 1 << 20, (1 << 20) - 1, 3 << 29, u64::MAX];

        let told = sizes.map(size);

        let expected = ["0 B", "1023 B", "1.0 KiB", "26.5 KiB", "30.0 KiB", "1.0 MiB"];
        assert_eq!(told[..6], expected);
        assert_eq!(told[6..], ["1023.9 KiB", "1.5 GiB", "16777215.9 TiB"]);
    }
}
