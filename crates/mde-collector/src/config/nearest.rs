//! Names that resemble each other: what a misspelled key was meant to be.

/// The Levenshtein distance of two texts: insertions, deletions and replacements. Unit: characters.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The name that a mistyped key stands for: at most two edits away, and at most a third of the key's length.
pub(super) fn near_miss<'n>(key: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    within(key, names, 2.min(key.chars().count() / 3))
}

/// The name that a wrong word is most like, where any is like it at all; for hints, so more lenient than [`near_miss`].
pub(super) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    within(word, names, word.chars().count() / 2)
}

/// The nearest name that is at most `most` edits away; of two the first.
fn within<'n>(word: &str, names: impl IntoIterator<Item = &'n str>, most: usize) -> Option<&'n str> {
    let length = word.chars().count();
    // A difference in length is a lower bound, and spares the work for texts of another kind.
    let alike = names.into_iter().filter(|name| name.chars().count().abs_diff(length) <= most);
    alike
        .map(|name| (distance(word, name), name))
        .filter(|(far, _)| *far <= most)
        .min_by_key(|(far, _)| *far)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_distances_come_out() {
        for (a, b, far) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("overlap", "ovrelap", 2),
            ("größe", "grösse", 2),
            ("id", "id", 0),
        ] {
            assert_eq!(distance(a, b), far, "{a} {b}");
        }
    }

    #[test]
    fn a_near_miss_is_two_edits_and_a_third_of_the_key() {
        assert_eq!(near_miss("overlpa", ["overlap", "sweep"]), Some("overlap"));
        assert_eq!(near_miss("overlappps", ["overlap"]), None, "three edits");
        assert_eq!(near_miss("ie", ["id"]), None, "one edit is more than a third of two characters");
        assert_eq!(near_miss("ide", ["id"]), Some("id"));
        assert_eq!(near_miss("porta", ["port", "ports"]), Some("port"), "of two the first");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn distance_is_a_metric(a in "[a-d]{0,8}", b in "[a-d]{0,8}", c in "[a-d]{0,8}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c));
        }
    }
}
