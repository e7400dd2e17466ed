//! The name that was probably meant.

/// The name that is nearest to a misspelt one, where it is near at all.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|one| (distance(&name.to_lowercase(), &one.to_lowercase()), one))
        .filter(|(distance, one)| *distance <= one.len().min(name.len()) / 3 + 1)
        .min()
        .map(|(_, one)| one)
}

/// The number of letters to change, add or leave out (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut before = i;
        let mut left = i + 1;
        for (slot, other) in row.iter_mut().skip(1).zip(&b) {
            let cost = (before + usize::from(letter != *other)).min(left + 1).min(*slot + 1);
            before = *slot;
            *slot = cost;
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_no_far_one() {
        let names = ["last_login_at", "email", "created"];
        assert_eq!(nearest("last_login", names.into_iter()), Some("last_login_at"));
        assert_eq!(nearest("e-mail", names.into_iter()), Some("email"));
        assert_eq!(nearest("shoe_size", names.into_iter()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
